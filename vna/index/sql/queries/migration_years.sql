-- Studies, claimed and listed instances and bytes of a campaign by year and modality.
SELECT extract(year FROM s.study_date)::integer, coalesce(i.modality, ''), count(DISTINCT s.id),
    count(i.id), coalesce(sum(coalesce(i.received_size, i.size)), 0)::bigint
FROM migration_study s LEFT JOIN migration_instance i ON i.study = s.id
WHERE s.campaign = %(campaign)s AND s.study_instance_uid <> ''
GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2
