-- Prolongs claims on drains that hold still.
UPDATE drain SET held_until = now() + make_interval(secs => %(seconds)s)
WHERE holder = ANY(%(holders)s) AND held_until > now()
RETURNING holder
