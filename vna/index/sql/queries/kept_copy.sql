-- Where the bytes of this version of an instance lie, visible or as a conflict.
SELECT 'instance', i.id, l.backend, l.key, l."offset", l.length, i.object_digest
FROM instance i JOIN location l ON l.instance = i.id
WHERE i.sop_instance_uid = %(uid)s AND long_digest(i.dataset_digest) = %(digest)s AND i.transfer_syntax_uid = %(syntax)s
UNION ALL
SELECT 'conflict', c.id, l.backend, l.key, l."offset", l.length, c.object_digest
FROM conflict c JOIN location l ON l.conflict = c.id
WHERE c.kind = 'content' AND c.sop_instance_uid = %(uid)s AND c.dataset_digest = %(digest)s
    AND c.transfer_syntax_uid = %(syntax)s
