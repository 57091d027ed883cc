-- Gives a drain back: ended, or to be gone on with in some seconds.
UPDATE drain SET holder = '', held_until = '-infinity', ended_at = CASE WHEN %(ended)s THEN now() END,
    next_attempt_at = now() + make_interval(secs => %(pause)s)
WHERE backend = %(backend)s AND holder = %(holder)s
