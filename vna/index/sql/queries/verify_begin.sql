-- Begins a verification of everything.
INSERT INTO verification AS v (is_deep, is_scheduled) VALUES (%(deep)s, %(scheduled)s)
RETURNING id, began_at, ended_at, is_deep, backend, position, objects, size,
    (SELECT count(*) FROM verification_finding f WHERE f.verification = v.id AND f.repaired = '')
