-- Instances that can be delivered; an empty list of a level does not narrow.
SELECT i.id, s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid, i.sop_class_uid,
    i.transfer_syntax_uid, i.number_of_frames, i.dataset_offset, i.header_length, i.pixel_offset,
    i.pixel_length, i.tail_offset, l.backend, l.key, l."offset", l.length, i.object_digest, i.dataset_digest, i.correction
FROM instance i
JOIN location l ON l.instance = i.id
JOIN series e ON e.id = i.series
JOIN study s ON s.id = e.study
JOIN patient p ON p.id = s.patient
WHERE {conditions}
ORDER BY s.study_instance_uid, e.series_number, e.series_instance_uid, i.instance_number, i.id
