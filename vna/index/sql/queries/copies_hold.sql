-- Keeps what was taken for a while longer.
UPDATE copy SET next_attempt_at = now() + make_interval(secs => %(hold)s)
WHERE of_key = %(of_key)s AND of_offset = %(of_offset)s AND of_backend = %(of_backend)s AND backend = %(backend)s
    AND next_attempt_at IS NOT NULL
