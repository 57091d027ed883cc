-- A running campaign of which nothing is left to do, and no inventory under way, is done.
UPDATE campaign c SET state = 'done', changed_at = now()
WHERE c.id = %(campaign)s AND c.state = 'running'
    AND NOT EXISTS (SELECT FROM migration_inventory v WHERE v.campaign = c.id AND v.ended_at IS NULL)
    AND NOT EXISTS (SELECT FROM migration_study s WHERE s.campaign = c.id AND s.state = 'queued')
    AND NOT EXISTS (SELECT FROM migration_study s WHERE s.campaign = c.id AND s.state = 'failed')
    AND NOT EXISTS (SELECT FROM migration_study s WHERE s.campaign = c.id AND s.holder IS NOT NULL)
RETURNING c.id
