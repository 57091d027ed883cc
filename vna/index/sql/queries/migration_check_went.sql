-- The final check got on by a page; no row when somebody else goes on with it.
UPDATE migration_final_check SET position = %(to)s, findings = %(findings)s::jsonb
WHERE id = %(check)s AND position = %(from)s AND ended_at IS NULL RETURNING id
