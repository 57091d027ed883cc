-- Studies that a person wants to be tried again, with all their attempts; a source that counts is asked what it has.
UPDATE migration_study SET state = 'queued', attempts = 0, losses = 0, next_attempt_at = NULL, changed_at = now(),
    listed = CASE WHEN claimed IS NULL OR state = 'verified' THEN listed ELSE 0 END
WHERE campaign = %(campaign)s AND study_instance_uid <> '' AND state = ANY(%(states)s)
    AND (%(uids)s::text[] IS NULL OR study_instance_uid = ANY(%(uids)s))
    AND (%(reason)s = '' OR reason = %(reason)s OR EXISTS (
        SELECT FROM migration_instance i
        WHERE i.study = migration_study.id AND i.reason = %(reason)s AND i.state = ANY(%(states)s)))
RETURNING id
