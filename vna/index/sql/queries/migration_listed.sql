-- The instances of a study are listed; what is new among them waits for its transfer, unless a person left the study out, which
-- gives no reason.
UPDATE migration_study s SET listed = greatest(s.listed, %(number)s),
    state = CASE WHEN n.waits THEN 'queued' ELSE s.state END,
    attempts = CASE WHEN n.waits THEN 0 ELSE s.attempts END
FROM (
    SELECT m.id, m.state IN ('verified', 'mismatched', 'excluded', 'parked') AND (m.state, m.reason) <> ('excluded', '')
        AND c.state <> 'new' AND EXISTS (
        SELECT FROM migration_instance i WHERE i.study = m.id AND i.state IN ('discovered', 'queued', 'landed')) AS waits
    FROM migration_study m JOIN campaign c ON c.id = m.campaign WHERE m.id = %(study)s) AS n
WHERE s.id = n.id
RETURNING s.campaign
