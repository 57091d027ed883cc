-- The instances of some studies, as a certificate tells of them.
SELECT i.study, i.series_instance_uid, i.sop_instance_uid, i.state, i.reason, i.detail, i.sop_class_uid,
    i.transfer_syntax_uid, i.modality, i.place, i.size, i.number_of_frames, i.seen, i.attempts, i.outcome, i.conflict,
    i.received_size, i.received, i.received_dataset, i.rules, i.evidence, i.discovered_at, i.landed_at, i.verified_at
FROM migration_instance i
WHERE i.study = ANY(%(studies)s)
ORDER BY i.study, i.id
