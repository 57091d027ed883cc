-- Has what was taken looked at again later, and tells why.
UPDATE copy SET next_attempt_at = now() + make_interval(secs => %(delay)s), last_error = %(error)s
WHERE of_key = %(of_key)s AND of_offset = %(of_offset)s AND of_backend = %(of_backend)s AND backend = %(backend)s
    AND next_attempt_at IS NOT NULL
