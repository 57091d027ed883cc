-- Nothing is the matter with what was taken: a location or a copy.
WITH settled AS (
    DELETE FROM copy
    WHERE of_key = %(of_key)s AND of_offset = %(of_offset)s AND of_backend = %(of_backend)s AND backend = %(backend)s
        AND backend = of_backend
)
UPDATE copy SET due_since = NULL, next_attempt_at = NULL, attempts = 0, last_error = NULL
WHERE of_key = %(of_key)s AND of_offset = %(of_offset)s AND of_backend = %(of_backend)s AND backend = %(backend)s
    AND key = %(key)s
