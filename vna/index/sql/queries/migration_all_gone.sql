-- What earlier inventories listed of the studies of this one, and this one does not.
UPDATE migration_instance i SET state = 'excluded', reason = 'gone-from-source'
FROM migration_study s
WHERE s.campaign = %(campaign)s AND s.seen = %(number)s AND s.listed = 0 AND i.study = s.id
    AND i.seen > 0 AND i.seen < %(number)s
    AND i.state IN ('discovered', 'queued', 'transferring', 'failed', 'parked')
