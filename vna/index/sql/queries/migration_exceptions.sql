-- Studies that a person may want to look at, with their instances of which that is true.
SELECT s.id, s.study_instance_uid, s.state, s.reason, s.detail, s.attempts, s.changed_at, s.next_attempt_at,
    i.series_instance_uid, i.sop_instance_uid, i.state, i.reason, i.detail, i.attempts, i.place, i.conflict
FROM (
    SELECT * FROM migration_study
    WHERE campaign = %(campaign)s AND id > %(after)s
        AND (exceptions > 0 OR state IN ('mismatched', 'failed', 'excluded', 'parked'))
    ORDER BY id LIMIT %(limit)s) AS s
LEFT JOIN migration_instance i ON i.study = s.id AND i.state IN ('mismatched', 'failed', 'excluded', 'parked')
ORDER BY s.id, i.id
