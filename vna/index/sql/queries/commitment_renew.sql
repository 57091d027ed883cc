-- Holds requests for longer, where the claims still hold.
UPDATE commitment SET held_until = now() + make_interval(secs => %(seconds)s)
WHERE holder = ANY(%(holders)s) AND state IN ('checking', 'reporting')
RETURNING holder
