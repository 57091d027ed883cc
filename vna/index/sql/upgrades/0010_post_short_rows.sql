-- No archive serves any more that can't read differences and short rows: they are written from now on, and what is there
-- is rewritten in the background.

UPDATE oldest_reader SET version = 10, rewrite_to = (SELECT coalesce(max(id), 0) FROM series);
ALTER TABLE instance VALIDATE CONSTRAINT instance_check;
DROP FUNCTION IF EXISTS register_instance_before;
