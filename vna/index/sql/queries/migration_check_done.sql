-- A campaign whose final check has passed is done, unless something new came up meanwhile.
UPDATE campaign c SET state = 'done', changed_at = now()
WHERE c.id = %(campaign)s AND c.state <> 'new' AND c.inventory = %(inventory)s
    AND NOT EXISTS (SELECT FROM migration_inventory v WHERE v.campaign = c.id AND v.ended_at IS NULL)
    AND NOT EXISTS (SELECT FROM migration_study s WHERE s.campaign = c.id AND s.state = 'queued')
    AND NOT EXISTS (SELECT FROM migration_study s WHERE s.campaign = c.id AND s.state = 'failed')
    AND NOT EXISTS (SELECT FROM migration_study s WHERE s.campaign = c.id AND s.holder IS NOT NULL)
RETURNING c.id
