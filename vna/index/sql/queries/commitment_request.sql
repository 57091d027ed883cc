-- Records a request, or starts a known one afresh; no row when somebody works on it.
WITH in_use AS (
    SELECT FROM commitment
    WHERE transaction_uid = %(uid)s AND peer = %(peer)s AND references_digest <> %(digest)s
        AND state IN ('checking', 'reporting')
), new AS (
    SELECT CASE WHEN EXISTS (SELECT FROM in_use)
        THEN array_fill(305, ARRAY[cardinality(%(instances)s::text[])]) -- 0131H, in use by another request
        ELSE '{}'::integer[] END AS failure_reasons
)
INSERT INTO commitment (
    peer, transaction_uid, references_digest, address, correlation_id, sop_class_uids, sop_instance_uids,
    holder, held_until, failure_reasons, state)
SELECT %(peer)s, %(uid)s, %(digest)s, %(address)s, %(correlation_id)s, %(classes)s::text[], %(instances)s::text[],
    %(holder)s, now() + make_interval(secs => %(seconds)s), new.failure_reasons,
    CASE WHEN new.failure_reasons = '{}' THEN 'checking' ELSE 'reporting' END
FROM new
ON CONFLICT (transaction_uid, peer, references_digest) DO UPDATE SET
    address = excluded.address, correlation_id = excluded.correlation_id, requested_at = now(),
    sop_class_uids = excluded.sop_class_uids, sop_instance_uids = excluded.sop_instance_uids,
    holder = excluded.holder, held_until = excluded.held_until, failure_reasons = excluded.failure_reasons,
    state = excluded.state, attempts = 0, last_error = '', next_attempt_at = NULL, reported_at = NULL
WHERE commitment.held_until < now() OR commitment.holder = excluded.holder OR commitment.state IN ('parked', 'reported')
RETURNING id
