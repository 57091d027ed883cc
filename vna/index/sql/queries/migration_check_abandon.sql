-- A final check that something new came between is over.
UPDATE migration_final_check SET ended_at = now(), has_passed = false
WHERE campaign = %(campaign)s AND ended_at IS NULL
