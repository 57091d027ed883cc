-- The peer has the report.
UPDATE commitment
SET state = 'reported', reported_at = now(), next_attempt_at = NULL, last_error = '',
    holder = '', held_until = '-infinity'
WHERE id = %(id)s AND holder = %(holder)s AND state IN ('checking', 'reporting')
RETURNING id
