-- The AE title that sent an instance.
SELECT peer FROM (
    SELECT id, peer FROM audit_line
    WHERE study_instance_uid = %(study)s AND study_instance_uid <> '' AND sop_instance_uid = %(uid)s
        AND action IN ('instance.stored', 'instance.conflict') AND door = 'dimse'
    UNION ALL
    SELECT i.id, o.peer FROM audit_occasion o JOIN audit_instance i ON i.occasion = o.id
    WHERE o.study_instance_uid = %(study)s AND o.study_instance_uid <> '' AND i.uid = packed_uid(%(uid)s)
        AND o.action IN ('instance.stored', 'instance.conflict') AND o.door = 'dimse'
) AS line
ORDER BY id LIMIT 1
