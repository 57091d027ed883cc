-- What waits for a person, oldest first, from behind a given id.
SELECT c.id, c.kind, c.created_at, c.resolved_at, c.study_instance_uid, c.series_instance_uid, c.sop_instance_uid,
    c.sop_class_uid, c.transfer_syntax_uid, c.issuer_of_patient_id, c.patient_id, c.door, c.peer, c.address,
    c.correlation_id, c.object_digest, c.dataset_digest, l.backend, l.key, l."offset", l.length, c.number_of_frames,
    c.dataset_offset, c.header_length, c.pixel_offset, c.pixel_length, c.tail_offset, c.correction
FROM conflict c LEFT JOIN location l ON l.conflict = c.id
WHERE c.id > %s
ORDER BY c.id
LIMIT %s
