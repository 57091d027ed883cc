-- Requests whose report has not been confirmed.
SELECT id, transaction_uid, peer, state, cardinality(sop_instance_uids),
    (SELECT count(*) FROM unnest(failure_reasons) AS reason WHERE reason <> 0), attempts, requested_at,
    next_attempt_at, last_error
FROM commitment
WHERE state <> 'reported'
ORDER BY id
