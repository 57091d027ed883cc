-- One transaction that we asked for.
SELECT transaction_uid, peer, asked_at, reported_at, sop_class_uids, sop_instance_uids, failure_reasons
FROM commitment_asked
WHERE transaction_uid = %s
