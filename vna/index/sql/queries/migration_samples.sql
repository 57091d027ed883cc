-- Some studies of a campaign, which are spread over all of it and are the same ones each time; or those that are named.
SELECT id, study_instance_uid, claimed, found, listed > 0 FROM migration_study
WHERE campaign = %(campaign)s AND CASE WHEN %(uids)s::text[] IS NULL THEN state <> 'excluded'
    ELSE study_instance_uid = ANY(%(uids)s::text[]) END
ORDER BY hashtextextended(study_instance_uid, 0), id LIMIT %(limit)s
