-- A new worker of a campaign; no row when that is gone.
INSERT INTO migration_worker (campaign, name)
SELECT id, %(name)s FROM campaign WHERE id = %(campaign)s RETURNING id
