-- Exceptions of a campaign by level, state and reason.
SELECT 'study' AS level, state, reason, count(*) AS count FROM migration_study
WHERE campaign = %(campaign)s AND state IN ('mismatched', 'failed', 'excluded', 'parked') GROUP BY 1, 2, 3
UNION ALL
SELECT 'instance', state, reason, count(*) FROM migration_instance
WHERE campaign = %(campaign)s AND state IN ('mismatched', 'failed', 'excluded', 'parked') GROUP BY 1, 2, 3
ORDER BY 1 DESC, 4 DESC, 2, 3
