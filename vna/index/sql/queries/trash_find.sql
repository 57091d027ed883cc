-- The last request that deleted something which is not visible (again) and can be restored still.
SELECT t.id, t.deleted_at
FROM trash t
WHERE t.study_instance_uid = %(study)s
    AND NOT EXISTS (
        SELECT FROM study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id
        WHERE s.study_instance_uid = %(study)s
            AND %(series)s IN ('', e.series_instance_uid) AND %(instance)s IN ('', i.sop_instance_uid))
    AND EXISTS (
        SELECT FROM trash_item i
        WHERE i.trash = t.id AND i.kind = 'instance' AND i.sweep_began_at IS NULL
            AND %(instance)s IN ('', i.sop_instance_uid)
            AND %(series)s IN ('', t.series -> (i.description ->> 'series') ->> 'series_instance_uid'))
ORDER BY t.id DESC
LIMIT 1
