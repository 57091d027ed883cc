-- What an earlier inventory listed of a study and this one does not: not to be transferred, if it was not yet.
UPDATE migration_instance SET state = 'excluded', reason = 'gone-from-source'
WHERE study = %(study)s AND seen > 0 AND seen < %(number)s
    AND state IN ('discovered', 'queued', 'transferring', 'failed', 'parked')
RETURNING id
