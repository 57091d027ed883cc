-- What each backend holds, from a share of the rows; copies that are due are counted one by one.
WITH kept AS (
    SELECT backend, count(*) AS objects, sum(length) AS size
    FROM location TABLESAMPLE SYSTEM (%(percent)s) GROUP BY backend
), copied AS (
    SELECT c.backend, count(*) AS objects, sum(l.length) AS size
    FROM copy c TABLESAMPLE SYSTEM (%(percent)s)
    JOIN location l ON l.key = c.of_key AND l."offset" = c.of_offset AND l.backend = c.of_backend
    WHERE c.key IS NOT NULL GROUP BY c.backend
), waiting AS (
    SELECT backend, count(*) AS objects FROM copy WHERE next_attempt_at IS NOT NULL GROUP BY backend
)
SELECT b.backend,
    (coalesce(k.objects, 0) * 100 / %(percent)s)::bigint, (coalesce(k.size, 0) * 100 / %(percent)s)::bigint,
    (coalesce(c.objects, 0) * 100 / %(percent)s)::bigint, (coalesce(c.size, 0) * 100 / %(percent)s)::bigint,
    coalesce(w.objects, 0)
FROM (SELECT backend FROM kept UNION SELECT backend FROM copied UNION SELECT backend FROM waiting) b
LEFT JOIN kept k ON k.backend = b.backend
LEFT JOIN copied c ON c.backend = b.backend
LEFT JOIN waiting w ON w.backend = b.backend
ORDER BY b.backend
