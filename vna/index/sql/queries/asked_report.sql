-- Keeps what was reported; the first report counts.
UPDATE commitment_asked SET failure_reasons = %(reasons)s::integer[], reported_at = now()
WHERE transaction_uid = %(uid)s AND failure_reasons IS NULL
