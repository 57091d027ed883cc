-- An inventory has seen everything. What it found just before the campaign was started waits, too.
WITH ended AS (
    UPDATE migration_inventory SET ended_at = now()
    WHERE campaign = %(campaign)s AND number = %(number)s AND ended_at IS NULL)
UPDATE migration_study s SET state = 'queued', changed_at = now()
FROM campaign c
WHERE c.id = %(campaign)s AND c.state <> 'new' AND s.campaign = c.id AND s.state = 'discovered'
