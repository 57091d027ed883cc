-- What names one object.
SELECT owner, study_instance_uid, series_instance_uid, sop_instance_uid, backend, key, "offset", length, object_digest
FROM named_object
WHERE backend = %(backend)s AND key = %(key)s
ORDER BY "offset"
