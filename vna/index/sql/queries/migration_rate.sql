-- What fetches brought in each of the last minutes, the newest first; the present one is not over.
SELECT minute, coalesce(sum(a.taken), 0)::bigint, coalesce(sum(a.taken_bytes), 0)::bigint
FROM generate_series(1, %(minutes)s) AS minute
LEFT JOIN migration_attempt a ON a.campaign = %(campaign)s
    AND a.ended_at > date_trunc('minute', now()) - make_interval(mins => minute)
    AND a.ended_at <= date_trunc('minute', now()) - make_interval(mins => minute - 1)
GROUP BY minute ORDER BY minute
