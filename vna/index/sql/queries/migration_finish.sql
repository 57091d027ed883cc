-- A worker lets go of a study; no row when it was not its any more. It is not done while an inventory has listed more of it.
UPDATE migration_study s SET holder = NULL, reason = %(reason)s,
    state = CASE WHEN %(state)s IN ('verified', 'mismatched', 'excluded') AND EXISTS (
        SELECT FROM migration_instance i WHERE i.study = s.id AND i.state IN ('discovered', 'queued', 'landed'))
        THEN 'queued' ELSE %(state)s END, detail = %(detail)s, changed_at = now(),
    losses = CASE WHEN %(counted)s THEN 0 ELSE s.losses END,
    attempts = CASE WHEN %(counted)s THEN s.attempts ELSE greatest(s.attempts - 1, 0) END,
    next_attempt_at = CASE WHEN %(state)s = 'failed' THEN now() + make_interval(secs => %(pause)s) END,
    verified_at = CASE WHEN %(state)s = 'verified' THEN now() ELSE s.verified_at END,
    exceptions = (SELECT count(*) FROM migration_instance i
        WHERE i.study = s.id AND i.state IN ('mismatched', 'failed', 'excluded', 'parked'))
WHERE s.id = %(study)s AND s.holder = %(worker)s RETURNING s.id
