-- Studies whose next attempt has come wait for it in the queue.
UPDATE migration_study SET state = 'queued', changed_at = now()
WHERE campaign = %(campaign)s AND state = 'failed' AND next_attempt_at <= now()
