-- How much of the locations (in percent) has surely as many rows as a sample wants.
SELECT CASE WHEN reltuples < 100000 THEN 100 ELSE least(100, 300.0 * %(count)s / reltuples + 0.01) END
FROM pg_class WHERE oid = 'location'::regclass
