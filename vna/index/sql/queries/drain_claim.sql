-- Takes a drain that is not ended and that nobody holds.
UPDATE drain SET holder = %(holder)s, held_until = now() + make_interval(secs => %(seconds)s), failed = 0, last_error = ''
WHERE backend = %(backend)s AND ended_at IS NULL AND (held_until <= now() OR holder = %(holder)s)
RETURNING backend, target, began_at, ended_at, moved, dropped, size, failed, grace, held_until > now(), last_error
