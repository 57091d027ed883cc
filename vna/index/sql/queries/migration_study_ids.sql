-- The ids of studies of a campaign, by their UIDs.
SELECT study_instance_uid, id FROM migration_study
WHERE campaign = %(campaign)s AND study_instance_uid = ANY(%(uids)s)
