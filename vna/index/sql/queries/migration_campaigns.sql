-- All campaigns, or the one of that name.
SELECT id, state, inventory, created_at, changed_at, name, source, scope, settings FROM campaign
WHERE %(name)s::text IS NULL OR name = %(name)s
ORDER BY id
