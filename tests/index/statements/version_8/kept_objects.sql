-- The objects of instances by UID, and of conflicting versions that nobody has decided about.
SELECT i.sop_instance_uid, i.sop_class_uid, l.backend, l.key, l."offset", l.length, i.object_digest
FROM instance i
JOIN location l ON l.instance = i.id
WHERE i.sop_instance_uid = ANY(%(uids)s)
UNION ALL
SELECT c.sop_instance_uid, c.sop_class_uid, l.backend, l.key, l."offset", l.length, c.object_digest
FROM conflict c
JOIN location l ON l.conflict = c.id
WHERE c.kind = 'content' AND c.resolved_at IS NULL AND c.sop_instance_uid = ANY(%(uids)s)
