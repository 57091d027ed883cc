-- How many instances of a study the archive has of which this ledger knows nothing.
SELECT count(*) FROM study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id
WHERE s.study_instance_uid = %(uid)s AND NOT EXISTS (
    SELECT FROM migration_instance m WHERE m.study = %(study)s AND m.sop_instance_uid = i.sop_instance_uid)
