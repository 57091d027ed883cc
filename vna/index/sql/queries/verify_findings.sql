-- Faults that a verification found, behind one of them.
SELECT fault, backend, key, "offset", length, study_instance_uid, series_instance_uid, sop_instance_uid,
    owner, detail, repaired
FROM verification_finding
WHERE verification = %(run)s AND (backend, key) > (%(backend)s, %(key)s)
ORDER BY backend, key, "offset"
LIMIT 500
