-- An attempt failed; the next one comes after a pause.
UPDATE commitment
SET attempts = attempts + 1, last_error = %(error)s, holder = '', held_until = '-infinity',
    next_attempt_at = now() + make_interval(secs => %(pause)s)
WHERE id = %(id)s AND holder = %(holder)s AND state IN ('checking', 'reporting')
