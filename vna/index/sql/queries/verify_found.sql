-- A fault that a verification found; found again after it was cut off, it is the same.
INSERT INTO verification_finding (verification, fault, backend, key, "offset", length, owner, study_instance_uid,
    series_instance_uid, sop_instance_uid, detail, repaired)
VALUES (%(run)s, %(fault)s, %(backend)s, %(key)s, %(offset)s, %(length)s, %(owner)s, %(study)s,
    %(series)s, %(uid)s, %(detail)s, %(repaired)s)
ON CONFLICT (verification, backend, key, "offset") DO UPDATE
SET fault = excluded.fault, detail = excluded.detail, repaired = excluded.repaired, found_at = now()
