-- Another state for a campaign that is in one of these.
UPDATE campaign SET state = %(state)s, changed_at = now()
WHERE id = %(campaign)s AND state = ANY(%(from)s) RETURNING id
