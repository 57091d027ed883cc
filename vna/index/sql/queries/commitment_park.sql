-- Nobody tries any more until a person, or the peer, asks for it.
UPDATE commitment
SET state = 'parked', attempts = attempts + 1, last_error = %(error)s, holder = '', held_until = '-infinity',
    next_attempt_at = NULL
WHERE id = %(id)s AND holder = %(holder)s AND state IN ('checking', 'reporting')
RETURNING id
