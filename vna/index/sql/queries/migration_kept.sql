-- Every version that the archive keeps under these UIDs: the visible one, and those in conflict with it.
SELECT false, i.id, s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid,
    i.number_of_frames, l.backend, l.key, l."offset", l.length, i.object_digest, i.dataset_digest, i.pixel_digest,
    i.correction
FROM instance i JOIN location l ON l.instance = i.id JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
WHERE i.sop_instance_uid = ANY(%(uids)s)
UNION ALL
SELECT true, c.id, c.study_instance_uid, c.series_instance_uid, c.sop_instance_uid, c.sop_class_uid, c.transfer_syntax_uid,
    c.number_of_frames, l.backend, l.key, l."offset", l.length, c.object_digest, c.dataset_digest, c.pixel_digest,
    c.correction
FROM conflict c JOIN location l ON l.conflict = c.id
WHERE c.kind = 'content' AND c.sop_instance_uid = ANY(%(uids)s)
