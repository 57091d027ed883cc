-- Copies of a location are due in some backends from now on, where there is none.
INSERT INTO copy (of_key, of_offset, of_backend, backend, due_since, next_attempt_at)
SELECT l.key, l."offset", l.backend, w.backend, now(), now()
FROM location l LEFT JOIN trash_item t ON t.id = l.trash_item, unnest(%(wanted)s::text[]) AS w (backend)
WHERE l.key = %(key)s AND l."offset" = %(offset)s AND l.backend = %(of)s AND l.backend <> w.backend
    AND t.sweep_began_at IS NULL
ON CONFLICT DO NOTHING
