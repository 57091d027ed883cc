-- The backends that a verification is through with.
SELECT backend FROM verification_part WHERE verification = %s AND ended_at IS NOT NULL
