-- The further objects with the bytes of a place, those first of which nothing bad is known: copies, and what took its place.
WITH here AS (
    SELECT l.backend, l.key, l."offset", l.length FROM location l
    WHERE l.key = %(key)s AND l."offset" = %(offset)s AND l.backend = %(backend)s
    UNION
    SELECT l.backend, l.key, l."offset", l.length
    FROM left_object o
    JOIN location l ON l.key = o.of_key AND l."offset" = o.of_offset AND l.backend = o.of_backend
    WHERE o.key = %(key)s AND o."offset" = %(offset)s AND o.backend = %(backend)s
), found AS (
    SELECT backend, key, "offset", length, false AS is_doubted FROM here
    UNION ALL
    SELECT c.backend, c.key, c."offset", h.length, c.next_attempt_at IS NOT NULL
    FROM here h
    JOIN copy c ON c.of_key = h.key AND c.of_offset = h."offset" AND c.of_backend = h.backend
    WHERE c.key IS NOT NULL
)
SELECT backend, key, "offset", length FROM found
WHERE (backend, key, "offset") <> (%(backend)s, %(key)s, %(offset)s)
ORDER BY is_doubted, backend
