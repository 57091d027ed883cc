-- A new version of a campaign's rules; no row when the newest one is the same.
WITH held AS MATERIALIZED (SELECT id FROM campaign WHERE id = %(campaign)s FOR UPDATE),
newest AS (
    SELECT r.version, r.digest FROM migration_rules r JOIN held ON r.campaign = held.id
    ORDER BY r.version DESC LIMIT 1)
INSERT INTO migration_rules (campaign, version, declared_by, system, digest, rules, maps)
SELECT held.id, coalesce((SELECT version FROM newest), 0) + 1, %(by)s, %(system)s, %(digest)s, %(rules)s, %(maps)s::jsonb
FROM held
WHERE %(digest)s IS DISTINCT FROM (SELECT digest FROM newest)
RETURNING version
