-- Objects of a study: of its instances, and of versions in conflict with them.
SELECT owner, study_instance_uid, series_instance_uid, sop_instance_uid, backend, key, "offset", length, object_digest
FROM named_object
WHERE instance = ANY(ARRAY(
        SELECT i.id FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
        WHERE s.study_instance_uid = %(study)s))
    OR conflict = ANY(ARRAY(SELECT id FROM conflict WHERE study_instance_uid = %(study)s))
ORDER BY key, "offset"
