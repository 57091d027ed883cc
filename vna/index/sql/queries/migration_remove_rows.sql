-- Removes the rows of some studies of a campaign; how many studies there were.
WITH gone AS MATERIALIZED (SELECT id FROM migration_study WHERE campaign = %(campaign)s LIMIT %(limit)s),
attempts AS (DELETE FROM migration_attempt a USING gone WHERE a.study = gone.id),
instances AS (DELETE FROM migration_instance i USING gone WHERE i.study = gone.id),
studies AS (DELETE FROM migration_study s USING gone WHERE s.id = gone.id)
SELECT count(*) FROM gone
