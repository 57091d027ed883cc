-- Versions of a campaign's rules, or one of them.
SELECT version, declared_at, declared_by, digest, rules, maps, system
FROM migration_rules
WHERE campaign = %(campaign)s AND (%(version)s::integer IS NULL OR version = %(version)s)
ORDER BY version
