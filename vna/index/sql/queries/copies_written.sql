-- Notes where a copy that was due was written; no row when nobody needs it any more.
WITH swept AS (
    SELECT t.sweep_began_at FROM trash_item t JOIN location l ON l.trash_item = t.id
    WHERE l.key = %(of_key)s AND l."offset" = %(of_offset)s AND l.backend = %(of_backend)s FOR SHARE OF t
)
UPDATE copy
SET key = %(new_key)s, "offset" = 0, due_since = NULL, next_attempt_at = NULL, attempts = 0, last_error = NULL
WHERE of_key = %(of_key)s AND of_offset = %(of_offset)s AND of_backend = %(of_backend)s AND backend = %(backend)s
    AND (key IS NULL OR key = %(new_key)s) AND NOT EXISTS (SELECT FROM swept WHERE sweep_began_at IS NOT NULL)
RETURNING key
