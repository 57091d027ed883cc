-- Forgets a transaction that was refused, unless it was reported all the same.
DELETE FROM commitment_asked WHERE transaction_uid = %s AND reported_at IS NULL
