-- Rows that name one object.
SELECT CASE WHEN l.instance IS NOT NULL THEN 'instance' WHEN l.conflict IS NOT NULL THEN 'conflict' ELSE 'trash' END,
    coalesce(s.study_instance_uid, c.study_instance_uid, w.study_instance_uid, ''),
    coalesce(e.series_instance_uid, c.series_instance_uid, w.series_instance_uid, ''),
    coalesce(i.sop_instance_uid, c.sop_instance_uid, t.sop_instance_uid),
    l.backend, l.key, l."offset", l.length,
    coalesce(i.object_digest, c.object_digest, (t.description ->> 'object_digest')::bytea)
FROM location l
LEFT JOIN instance i ON i.id = l.instance
LEFT JOIN series e ON e.id = i.series
LEFT JOIN study s ON s.id = e.study
LEFT JOIN conflict c ON c.id = l.conflict
LEFT JOIN trash_item t ON t.id = l.trash_item
LEFT JOIN trash w ON w.id = t.trash
WHERE l.backend = %(backend)s AND l.key = %(key)s
ORDER BY l."offset"
