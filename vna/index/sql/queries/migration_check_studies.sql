-- The next studies of a campaign by their ids.
SELECT id, study_instance_uid, claimed, found, listed > 0, attempts, seen, state, reason, exceptions FROM migration_study
WHERE campaign = %(campaign)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
