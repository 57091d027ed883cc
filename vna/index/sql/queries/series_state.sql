-- How many instances a series of a study has, and the newest of them.
SELECT count(*), max(i.id)
FROM instance i
JOIN series e ON e.id = i.series
JOIN study s ON s.id = e.study
WHERE s.study_instance_uid = %s AND e.series_instance_uid = %s
