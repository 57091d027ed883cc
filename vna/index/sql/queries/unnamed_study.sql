-- Studies whose person names have no tokens yet, with what holds the names; kept from changing meanwhile.
SELECT s.id, coalesce(s.patient_attributes, p.attributes), s.attributes
FROM study s JOIN patient p ON p.id = s.patient
WHERE s.person_names IS NULL
ORDER BY s.id
LIMIT %s
FOR UPDATE OF s SKIP LOCKED
