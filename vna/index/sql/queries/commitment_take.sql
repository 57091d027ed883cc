-- Holds a request that is due and free, or ours already.
UPDATE commitment
SET holder = %(holder)s, held_until = now() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s AND state IN ('checking', 'reporting')
    AND (holder = %(holder)s OR held_until < now() AND coalesce(next_attempt_at <= now(), true))
RETURNING id, transaction_uid, peer, state, sop_class_uids, sop_instance_uids, failure_reasons,
    attempts, requested_at, address, correlation_id
