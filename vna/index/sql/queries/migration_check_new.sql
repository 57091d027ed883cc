-- A new final check; no row when there is an open one.
INSERT INTO migration_final_check (campaign, inventory, is_reread, operator, findings)
SELECT id, inventory, %(reread)s, %(operator)s, %(findings)s::jsonb FROM campaign WHERE id = %(campaign)s
ON CONFLICT (campaign) WHERE ended_at IS NULL DO NOTHING
RETURNING id, inventory, position, began_at, findings
