-- What was done since the last time.
UPDATE drain SET moved = moved + %(moved)s, dropped = dropped + %(dropped)s, size = size + %(size)s,
    failed = failed + %(failed)s, last_error = CASE WHEN %(error)s = '' THEN last_error ELSE %(error)s END
WHERE backend = %(backend)s AND holder = %(holder)s
RETURNING backend
