-- How many instances of some studies the archive has of which the ledger knows nothing.
SELECT count(*) FROM migration_study m
JOIN study s ON s.study_instance_uid = m.study_instance_uid
JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id
WHERE m.id = ANY(%(studies)s) AND NOT EXISTS (
    SELECT FROM migration_instance k WHERE k.study = m.id AND k.sop_instance_uid = i.sop_instance_uid)
