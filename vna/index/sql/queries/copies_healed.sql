-- Tells the auditor that an object was written anew from a copy.
INSERT INTO audit (action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
VALUES ('instance.healed', %(door)s, %(peer)s, %(address)s, %(correlation_id)s, %(study)s, %(uid)s,
    jsonb_build_object('lost_key', %(lost_key)s::text, 'backend', %(backend)s::text, 'from', %(source)s::text))
