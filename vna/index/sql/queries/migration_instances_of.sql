-- The instances of a study, as far as a worker needs them.
SELECT id, state, series_instance_uid, sop_instance_uid, sop_class_uid, transfer_syntax_uid, size, number_of_frames,
    modality, place, seen > 0, outcome, received, received_dataset, rules
FROM migration_instance WHERE study = %(study)s
ORDER BY series_instance_uid, id
