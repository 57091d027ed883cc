-- The series of a study with the digest of the ids of their instances, in the order of delivery.
SELECT e.id, s.study_instance_uid, e.series_instance_uid, held.count, held.digest
FROM study s
JOIN series e ON e.study = s.id
CROSS JOIN LATERAL (
    SELECT count(*), sha256(convert_to(string_agg(i.id::text, ',' ORDER BY i.id), 'UTF8')) AS digest
    FROM instance i WHERE i.series = e.id
) AS held
WHERE s.study_instance_uid = %(study)s
    AND (%(series)s = '' OR e.series_instance_uid = %(series)s)
    AND held.count > 0
ORDER BY e.series_number, e.series_instance_uid
