-- Their instances that are not there, or not as they should be; what was never listed can't be asked for. What is verified is
-- there, and is read again.
UPDATE migration_instance SET state = CASE WHEN state = 'verified' THEN 'landed' ELSE 'queued' END, verified_at = NULL
WHERE study = ANY(%(studies)s) AND seen > 0 AND state = ANY(%(states)s)
