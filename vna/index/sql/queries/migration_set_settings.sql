-- How a campaign goes on; its workers learn it at their next pulse.
UPDATE campaign SET settings = %(settings)s::jsonb, changed_at = now() WHERE id = %(campaign)s RETURNING id
