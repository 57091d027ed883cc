-- Forgets items whose objects are gone, and audits that by request and study.
WITH gone AS (
    DELETE FROM trash_item i WHERE i.id = ANY(%(items)s::bigint[]) AND i.sweep_began_at IS NOT NULL
    RETURNING i.trash, i.kind
), counted AS (
    SELECT g.trash, count(*) FILTER (WHERE g.kind = 'instance') AS instances, count(*) AS items FROM gone g GROUP BY g.trash
), audited AS (
    INSERT INTO audit (
        action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
    SELECT 'instances.swept', %(door)s, %(peer)s, %(address)s, %(correlation_id)s, t.study_instance_uid,
        t.sop_instance_uid, jsonb_build_object('trash', t.id, 'instances', c.instances)
    FROM counted c JOIN trash t ON t.id = c.trash
)
SELECT coalesce(sum(items), 0)::bigint FROM counted
