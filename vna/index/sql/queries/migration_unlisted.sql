-- Studies of an inventory whose instances are not listed yet.
SELECT id, study_instance_uid, claimed, found FROM migration_study
WHERE campaign = %(campaign)s AND seen = %(number)s AND listed = 0 AND id > %(after)s
ORDER BY id LIMIT %(limit)s
