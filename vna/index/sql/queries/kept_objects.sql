-- The objects of instances by UID, and of conflicting versions that nobody has decided about, each with its copies.
WITH kept AS (
    SELECT i.sop_instance_uid, i.sop_class_uid, l.backend, l.key, l."offset", l.length, i.object_digest
    FROM instance i
    JOIN location l ON l.instance = i.id
    WHERE i.sop_instance_uid = ANY(%(uids)s)
    UNION ALL
    SELECT c.sop_instance_uid, c.sop_class_uid, l.backend, l.key, l."offset", l.length, c.object_digest
    FROM conflict c
    JOIN location l ON l.conflict = c.id
    WHERE c.kind = 'content' AND c.resolved_at IS NULL AND c.sop_instance_uid = ANY(%(uids)s)
)
SELECT k.sop_instance_uid, k.sop_class_uid, k.backend, k.key, k."offset", k.length, k.object_digest, ARRAY(
    SELECT ARRAY[c.backend, c.key, c."offset"::text] FROM copy c
    WHERE c.of_key = k.key AND c.of_offset = k."offset" AND c.of_backend = k.backend AND c.key IS NOT NULL
    ORDER BY c.next_attempt_at IS NOT NULL, c.backend)
FROM kept k
