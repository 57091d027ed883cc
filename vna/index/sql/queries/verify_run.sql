-- One verification.
SELECT id, began_at, ended_at, is_deep, backend, position, objects, size,
    (SELECT count(*) FROM verification_finding f WHERE f.verification = v.id AND f.repaired = ''), of_backend
FROM verification v WHERE v.id = %(run)s
