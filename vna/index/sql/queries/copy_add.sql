-- Takes an object with the bytes of a location for a copy of it, perhaps one that is due; no row where the location is
-- elsewhere by now, is being swept, or has a copy in that backend already.
INSERT INTO copy AS c (of_backend, of_key, of_offset, backend, key, "offset")
SELECT l.backend, l.key, l."offset", %(backend)s, %(key)s, %(offset)s
FROM location l LEFT JOIN trash_item t ON t.id = l.trash_item
WHERE l.key = %(of_key)s AND l."offset" = %(of_offset)s AND l.backend = %(of_backend)s
    AND l.backend <> %(backend)s AND l.length = %(length)s AND t.sweep_began_at IS NULL
ON CONFLICT (of_key, of_offset, of_backend, backend) DO UPDATE
SET key = excluded.key, "offset" = excluded."offset", due_since = NULL, next_attempt_at = NULL, attempts = 0,
    last_error = NULL
WHERE c.key IS NULL OR c.key = excluded.key
RETURNING key
