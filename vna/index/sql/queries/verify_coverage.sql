-- Of each backend that was looked at: the last whole reading, and one that is under way or was broken off behind it.
SELECT b.backend, whole.began_at, whole.ended_at, whole.objects, whole.faults, open.began_at, open.seen_at, open.objects
FROM (SELECT DISTINCT backend FROM verification_part) b
LEFT JOIN LATERAL (
    SELECT p.verification, p.began_at, p.ended_at, p.objects,
        (SELECT count(*) FROM verification_finding f
            WHERE f.verification = p.verification AND f.backend = p.backend AND f.repaired = '') AS faults
    FROM verification_part p JOIN verification v ON v.id = p.verification
    WHERE p.backend = b.backend AND v.is_deep AND p.ended_at IS NOT NULL
    ORDER BY p.began_at DESC LIMIT 1
) whole ON true
LEFT JOIN LATERAL (
    SELECT p.began_at, p.seen_at, p.objects
    FROM verification_part p JOIN verification v ON v.id = p.verification
    WHERE p.backend = b.backend AND v.is_deep AND p.ended_at IS NULL AND v.ended_at IS NULL
        AND (whole.began_at IS NULL OR p.began_at > whole.began_at)
    ORDER BY p.began_at DESC LIMIT 1
) open ON true
ORDER BY b.backend
