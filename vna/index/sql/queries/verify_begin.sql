-- Begins a verification of everything, or of one backend.
INSERT INTO verification AS v (is_deep, is_scheduled, of_backend) VALUES (%(deep)s, %(scheduled)s, %(only)s)
RETURNING id, began_at, ended_at, is_deep, backend, position, objects, size,
    (SELECT count(*) FROM verification_finding f WHERE f.verification = v.id AND f.repaired = ''), of_backend
