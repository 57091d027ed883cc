-- Every correction that there is.
SELECT id, patch FROM correction ORDER BY id
