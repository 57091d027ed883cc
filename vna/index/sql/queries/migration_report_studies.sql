-- Studies of a campaign by year; one without a UID is none.
SELECT extract(year FROM study_date)::integer AS year, count(*) AS studies
FROM migration_study WHERE campaign = %(campaign)s AND study_instance_uid <> '' GROUP BY 1 ORDER BY 1 NULLS LAST
