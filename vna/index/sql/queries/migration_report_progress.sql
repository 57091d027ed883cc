-- What landed and what was verified in each span of time of a campaign, and what its fetches brought.
WITH bounds AS (
    SELECT %(began_at)s::timestamptz AS began, make_interval(secs => %(width)s) AS width),
steps AS (
    SELECT date_bin(width, ended_at, began) AS step, sum(taken) AS taken, sum(taken_bytes) AS bytes, 0 AS verified
    FROM migration_attempt, bounds WHERE campaign = %(campaign)s GROUP BY 1
    UNION ALL
    SELECT date_bin(width, greatest(verified_at, began), began), 0, 0, count(*)
    FROM migration_instance, bounds WHERE campaign = %(campaign)s AND state = 'verified' AND verified_at IS NOT NULL GROUP BY 1)
SELECT step AS at, sum(taken)::bigint AS came, sum(bytes)::bigint AS bytes, sum(verified)::bigint AS verified
FROM steps GROUP BY 1 ORDER BY 1
