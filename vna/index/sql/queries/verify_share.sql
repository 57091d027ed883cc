-- How much of the locations (in percent) has surely as many rows as a sample wants.
SELECT CASE WHEN sum(reltuples) < 100000 THEN 100 ELSE least(100, 300.0 * %(count)s / sum(reltuples) + 0.01) END
FROM pg_class
WHERE relkind = 'r' AND (oid = 'location'::regclass
    OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'location'::regclass))
