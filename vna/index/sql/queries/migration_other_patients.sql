-- How many instances of a study are corrected to be another patient's than the one that the study is shown with.
SELECT count(*) FROM study s JOIN patient p ON p.id = s.patient JOIN series e ON e.study = s.id
JOIN instance i ON i.series = e.id JOIN correction c ON c.id = i.correction
WHERE s.study_instance_uid = %(uid)s AND (
    coalesce(c.patch #>> '{elements,00100020,Value,0}', p.patient_id) <> p.patient_id
    OR coalesce(c.patch #>> '{elements,00100021,Value,0}', p.issuer_of_patient_id) <> p.issuer_of_patient_id)
