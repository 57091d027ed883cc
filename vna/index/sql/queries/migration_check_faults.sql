-- Verified instances of some studies of which no version with these bytes is kept; whether another version is, or this one is deleted.
SELECT i.id, i.study,
    EXISTS (SELECT FROM instance k WHERE k.sop_instance_uid = i.sop_instance_uid),
    EXISTS (SELECT FROM trash_item t WHERE t.sop_instance_uid = i.sop_instance_uid)
FROM migration_instance i, LATERAL (
    SELECT ARRAY[i.received, short_digest(i.received)] AS objects,
        ARRAY[i.received_dataset, short_digest(i.received_dataset)] AS datasets) AS came
WHERE i.study = ANY(%(studies)s) AND i.state = 'verified'
    AND NOT EXISTS (
        SELECT FROM instance k JOIN location l ON l.instance = k.id
        WHERE k.sop_instance_uid = i.sop_instance_uid
            AND (k.object_digest = ANY(came.objects) OR k.dataset_digest = ANY(came.datasets)))
    AND NOT EXISTS (
        SELECT FROM conflict k JOIN location l ON l.conflict = k.id
        WHERE k.kind = 'content' AND k.sop_instance_uid = i.sop_instance_uid
            AND (k.object_digest = ANY(came.objects) OR k.dataset_digest = ANY(came.datasets)))
ORDER BY i.id
