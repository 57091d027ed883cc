-- Objects of a backend that rows name, by key and offset, behind one of them.
SELECT owner, study_instance_uid, series_instance_uid, sop_instance_uid, backend, key, "offset", length, object_digest
FROM named_object
WHERE backend = %(backend)s AND (key, "offset") > (%(after)s, %(offset)s)
ORDER BY key, "offset"
LIMIT %(limit)s
