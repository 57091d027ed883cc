-- What a retrieve is about to deliver, in the order of delivery; an empty list of a level does not narrow.
SELECT i.id, i.sop_class_uid, i.transfer_syntax_uid, i.object_digest, i.correction
FROM instance i
JOIN location l ON l.instance = i.id
JOIN series e ON e.id = i.series
JOIN study s ON s.id = e.study
JOIN patient p ON p.id = s.patient
WHERE {conditions}
ORDER BY s.study_instance_uid, e.series_number, e.series_instance_uid, i.instance_number, i.id
