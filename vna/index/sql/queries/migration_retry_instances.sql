-- Their instances that are not there, or not as they should be; what was never listed can't be asked for.
UPDATE migration_instance SET state = 'queued', verified_at = NULL
WHERE study = ANY(%(studies)s) AND seen > 0 AND state = ANY(%(states)s)
