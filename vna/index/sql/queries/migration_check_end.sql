-- The end of a final check.
UPDATE migration_final_check SET ended_at = now(), has_passed = %(passed)s, accepts_exceptions = %(accepts)s,
    findings = %(findings)s::jsonb
WHERE id = %(check)s AND ended_at IS NULL RETURNING id
