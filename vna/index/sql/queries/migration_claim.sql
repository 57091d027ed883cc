-- The first study of the queue that nobody else takes at this moment; none for a worker that counts as dead.
WITH me AS (SELECT id FROM migration_worker WHERE id = %(worker)s FOR KEY SHARE),
next AS (
    SELECT s.id FROM migration_study s WHERE s.campaign = %(campaign)s AND s.state = 'queued'
    ORDER BY s.priority DESC, s.rank DESC, s.id
    LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE migration_study s SET state = 'transferring', holder = me.id, attempts = s.attempts + 1,
    began_at = now(), changed_at = now()
FROM me, next WHERE s.id = next.id
RETURNING s.id, s.study_instance_uid, s.claimed, s.found, s.listed > 0, s.attempts
