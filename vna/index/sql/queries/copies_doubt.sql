-- Has an object looked at that could not be read: a copy, or a location that has copies.
WITH doubted AS (
    UPDATE copy SET due_since = now(), next_attempt_at = now(), attempts = 0
    WHERE key = %(key)s AND "offset" = %(offset)s AND backend = %(backend)s AND next_attempt_at IS NULL
)
INSERT INTO copy (of_backend, of_key, of_offset, backend, due_since, next_attempt_at)
SELECT l.backend, l.key, l."offset", l.backend, now(), now()
FROM location l
WHERE l.key = %(key)s AND l."offset" = %(offset)s AND l.backend = %(backend)s AND EXISTS (
    SELECT FROM copy c
    WHERE c.of_key = l.key AND c.of_offset = l."offset" AND c.of_backend = l.backend AND c.key IS NOT NULL)
ON CONFLICT (of_key, of_offset, of_backend, backend) DO NOTHING
