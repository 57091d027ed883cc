-- When a campaign began to bring something, and when it last did.
SELECT least(min(s.began_at), a.first) AS began_at, greatest(max(s.verified_at), a.last) AS ended_at
FROM migration_study s, (
    SELECT min(ended_at) AS first, max(ended_at) AS last FROM migration_attempt WHERE campaign = %(campaign)s) AS a
WHERE s.campaign = %(campaign)s GROUP BY a.first, a.last
