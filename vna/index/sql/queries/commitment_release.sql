-- Lets go of a request that somebody else is to finish.
UPDATE commitment SET holder = '', held_until = '-infinity'
WHERE id = %(id)s AND holder = %(holder)s AND state IN ('checking', 'reporting')
RETURNING id
