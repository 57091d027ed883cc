-- Studies that are not to be transferred, unless somebody is about them or they are there already.
UPDATE migration_study SET state = 'excluded', reason = '', detail = %(detail)s, changed_at = now()
WHERE campaign = %(campaign)s AND study_instance_uid = ANY(%(uids)s)
    AND state IN ('discovered', 'queued', 'failed', 'parked')
RETURNING id
