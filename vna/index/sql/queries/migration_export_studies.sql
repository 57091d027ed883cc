-- Some studies of a campaign, as a certificate tells of them.
SELECT s.id, s.study_instance_uid, s.state, s.reason, s.detail, s.found ->> 'patient_id' AS patient_id,
    s.found ->> 'issuer_of_patient_id' AS issuer_of_patient_id, s.found ->> 'study_date' AS study_date,
    s.found ->> 'study_time' AS study_time, s.found ->> 'accession_number' AS accession_number,
    s.found -> 'modalities' AS modalities, s.found ->> 'study_description' AS study_description,
    s.found ->> 'place' AS place, s.claimed, s.seen, s.listed, s.attempts, s.losses, s.exceptions, s.priority,
    s.discovered_at, s.began_at, s.changed_at, s.verified_at, s.next_attempt_at
FROM migration_study s
WHERE s.campaign = %(campaign)s AND s.id > %(after)s
ORDER BY s.id LIMIT %(limit)s
