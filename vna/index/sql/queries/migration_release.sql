-- What was discovered before the campaign was started waits for its transfer now.
UPDATE migration_study SET state = 'queued', changed_at = now()
WHERE campaign = %(campaign)s AND state = 'discovered'
