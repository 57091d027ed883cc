-- The instances of a study are listed; what is new among them waits for its transfer.
UPDATE migration_study s SET listed = greatest(s.listed, %(number)s),
    state = CASE WHEN s.state IN ('verified', 'mismatched', 'excluded', 'parked') AND c.state <> 'new' AND EXISTS (
        SELECT FROM migration_instance i WHERE i.study = s.id AND i.state IN ('discovered', 'queued', 'landed'))
        THEN 'queued' ELSE s.state END
FROM campaign c WHERE s.id = %(study)s AND c.id = s.campaign
RETURNING s.campaign
