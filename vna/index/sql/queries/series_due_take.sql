-- Takes the series that has been at rest the longest, and for long enough, for a while.
UPDATE series_due SET taken_until = now() + make_interval(secs => %(hold)s)
WHERE (series_instance_uid, study_instance_uid) IN (
    SELECT d.series_instance_uid, d.study_instance_uid FROM series_due d
    WHERE d.changed_at <= now() - make_interval(secs => %(settle)s) AND d.taken_until < now()
    ORDER BY d.changed_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING study_instance_uid, series_instance_uid, changed_at
