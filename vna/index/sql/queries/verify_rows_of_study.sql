-- Objects of a study: of its instances, and of versions in conflict with them, with their copies.
SELECT n.owner, n.study_instance_uid, n.series_instance_uid, n.sop_instance_uid, o.backend, o.key, o."offset", n.length,
    n.object_digest, o.kind, n.backend, n.key, n."offset"
FROM named_object n
JOIN stored_object o ON o.of_key = n.key AND o.of_offset = n."offset" AND o.of_backend = n.backend
WHERE o.kind IN ('location', 'copy') AND o.key IS NOT NULL AND (
    n.instance = ANY(ARRAY(
        SELECT i.id FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
        WHERE s.study_instance_uid = %(study)s))
    OR n.conflict = ANY(ARRAY(SELECT id FROM conflict WHERE study_instance_uid = %(study)s)))
ORDER BY o.key, o."offset"
