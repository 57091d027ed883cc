-- How much of the locations (in percent) is looked at to estimate what backends hold.
SELECT CASE WHEN reltuples < 1000000 THEN 100 ELSE 1e8 / reltuples END FROM pg_class WHERE oid = 'location'::regclass
