-- The next changes behind a given number.
SELECT number, at, action, study_instance_uid, series_instance_uid, sop_instance_uid
FROM numbered_change
WHERE number > %s
ORDER BY number
LIMIT %s
