-- The objects of an instance that lies in the trash, and of its versions there.
SELECT '', l.backend, l.key, l."offset", l.length, (i.description ->> 'object_digest')::bytea
FROM trash t
JOIN trash_item i ON i.trash = t.id
JOIN location l ON l.trash_item = i.id
WHERE t.study_instance_uid = %(study)s AND i.sop_instance_uid = %(uid)s
