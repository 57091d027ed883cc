-- One line of the audit trail.
INSERT INTO audit (action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb)
