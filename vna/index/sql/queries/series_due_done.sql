-- Lets go of a series whose document was made; one that has changed meanwhile stays due.
WITH done AS (
    DELETE FROM series_due
    WHERE series_instance_uid = %(series)s AND study_instance_uid = %(study)s AND changed_at = %(changed_at)s
)
UPDATE series_due SET taken_until = '-infinity'
WHERE series_instance_uid = %(series)s AND study_instance_uid = %(study)s AND changed_at <> %(changed_at)s
