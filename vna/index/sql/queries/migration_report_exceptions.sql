-- Every exception of a campaign: each study, if it is one itself, and its instances.
SELECT e.level, s.study_instance_uid, e.series_instance_uid, e.sop_instance_uid, e.state, e.reason, e.detail, e.place,
    e.attempts, e.conflict
FROM migration_study s, LATERAL (
    SELECT 0 AS id, 'study' AS level, '' AS series_instance_uid, '' AS sop_instance_uid, s.state, s.reason, s.detail,
        '' AS place, s.attempts, NULL::bigint AS conflict
    WHERE s.state IN ('mismatched', 'failed', 'excluded', 'parked')
    UNION ALL
    SELECT i.id, 'instance', i.series_instance_uid, i.sop_instance_uid, i.state, i.reason, coalesce(i.detail, ''), i.place,
        i.attempts, i.conflict
    FROM migration_instance i WHERE i.study = s.id AND i.state IN ('mismatched', 'failed', 'excluded', 'parked')) AS e
WHERE s.campaign = %(campaign)s AND (s.exceptions > 0 OR s.state IN ('mismatched', 'failed', 'excluded', 'parked'))
ORDER BY s.id, e.id
