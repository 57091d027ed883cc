-- What names one object.
SELECT n.owner, n.study_instance_uid, n.series_instance_uid, n.sop_instance_uid, o.backend, o.key, o."offset", n.length,
    n.object_digest, o.kind, n.backend, n.key, n."offset"
FROM stored_object o
JOIN named_object n ON n.key = o.of_key AND n."offset" = o.of_offset AND n.backend = o.of_backend
WHERE o.backend = %(backend)s AND o.key = %(key)s
ORDER BY o."offset"
