-- Studies, instances and bytes of a campaign by year, modality and state of the instance; of studies without any, by '' and ''.
WITH part AS MATERIALIZED (
    SELECT study, modality, state, count(*) AS instances, sum(coalesce(received_size, size, 0)) AS bytes
    FROM migration_instance WHERE campaign = %(campaign)s GROUP BY 1, 2, 3),
of_study AS (
    SELECT study, modality, sum(instances) AS instances, sum(instances) FILTER (WHERE state = 'verified') AS verified,
        sum(instances) FILTER (WHERE state = 'excluded') AS excluded,
        sum(instances) FILTER (WHERE state IN ('mismatched', 'failed', 'parked')) AS exceptions, sum(bytes) AS bytes
    FROM part GROUP BY 1, 2)
SELECT extract(year FROM s.study_date)::integer AS year, coalesce(p.modality, '') AS modality, count(*) AS studies,
    coalesce(sum(p.instances), 0)::bigint AS instances, coalesce(sum(p.verified), 0)::bigint AS verified,
    coalesce(sum(p.excluded), 0)::bigint AS excluded, coalesce(sum(p.exceptions), 0)::bigint AS exceptions,
    coalesce(sum(p.bytes), 0)::bigint AS bytes
FROM migration_study s LEFT JOIN of_study p ON p.study = s.id
WHERE s.campaign = %(campaign)s AND s.study_instance_uid <> ''
GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2
