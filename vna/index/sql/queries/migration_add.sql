-- A new campaign; no row when there is one of that name.
INSERT INTO campaign (name, source, scope, settings)
VALUES (%(name)s, %(source)s::jsonb, %(scope)s::jsonb, %(settings)s::jsonb)
ON CONFLICT (name) DO NOTHING
RETURNING id, state, inventory, created_at, changed_at, name, source, scope, settings
