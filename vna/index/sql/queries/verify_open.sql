-- The newest verification of a kind that has not ended.
SELECT id, began_at, ended_at, is_deep, backend, position, objects, size,
    (SELECT count(*) FROM verification_finding f WHERE f.verification = v.id AND f.repaired = ''), of_backend
FROM verification v
WHERE v.ended_at IS NULL AND v.is_deep = %(deep)s AND v.is_scheduled = %(scheduled)s AND v.of_backend = %(only)s
ORDER BY v.id DESC LIMIT 1
