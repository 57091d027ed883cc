-- The number of the newest version of a campaign's rules; 0 without any.
SELECT coalesce(max(version), 0) FROM migration_rules WHERE campaign = %(campaign)s
