-- A worker lets go of a study; no row when it was not its any more.
UPDATE migration_study s SET holder = NULL, state = %(state)s, reason = %(reason)s, detail = %(detail)s, changed_at = now(),
    losses = CASE WHEN %(counted)s THEN 0 ELSE s.losses END,
    attempts = CASE WHEN %(counted)s THEN s.attempts ELSE greatest(s.attempts - 1, 0) END,
    next_attempt_at = CASE WHEN %(state)s = 'failed' THEN now() + make_interval(secs => %(pause)s) END,
    verified_at = CASE WHEN %(state)s = 'verified' THEN now() ELSE s.verified_at END,
    exceptions = (SELECT count(*) FROM migration_instance i
        WHERE i.study = s.id AND i.state IN ('mismatched', 'failed', 'excluded', 'parked'))
WHERE s.id = %(study)s AND s.holder = %(worker)s RETURNING s.id
