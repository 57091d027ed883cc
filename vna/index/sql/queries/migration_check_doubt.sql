-- A study whose verified instances turned out not to be kept is an exception; what has to be fetched again is.
UPDATE migration_study s SET state = %(state)s, reason = %(reason)s, detail = %(detail)s, changed_at = now(), attempts = 0,
    next_attempt_at = CASE WHEN %(state)s = 'failed' THEN now() END,
    exceptions = (SELECT count(*) FROM migration_instance i
        WHERE i.study = s.id AND i.state IN ('mismatched', 'failed', 'excluded', 'parked'))
WHERE s.id = %(study)s
