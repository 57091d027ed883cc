-- What a fetch brought.
INSERT INTO migration_attempt (study, campaign, number, asked, taken, taken_bytes, seconds, said, worker)
SELECT s.id, s.campaign, s.attempts, %(asked)s, %(taken)s, %(bytes)s, %(seconds)s, %(said)s, coalesce(w.name, '')
FROM migration_study s LEFT JOIN migration_worker w ON w.id = %(worker)s WHERE s.id = %(study)s
