-- Campaigns that workers have to work on.
SELECT id, state, inventory, created_at, changed_at, name, source, scope, settings FROM campaign
WHERE state = 'running' ORDER BY id
