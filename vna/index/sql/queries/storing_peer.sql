-- The AE title that sent an instance.
SELECT peer FROM audit
WHERE study_instance_uid = %(study)s AND study_instance_uid <> '' AND sop_instance_uid = %(uid)s
    AND action IN ('instance.stored', 'instance.conflict') AND door = 'dimse'
ORDER BY id LIMIT 1
