-- Everything that an inventory has seen is listed; what is new in studies that were done waits for its transfer,
-- unless a person left them out, which gives no reason.
UPDATE migration_study s SET listed = %(number)s,
    state = CASE WHEN s.state IN ('verified', 'mismatched', 'excluded', 'parked') AND (s.state, s.reason) <> ('excluded', '')
        AND c.state <> 'new' AND EXISTS (
        SELECT FROM migration_instance i WHERE i.study = s.id AND i.state IN ('discovered', 'queued', 'landed'))
        THEN 'queued' ELSE s.state END
FROM campaign c
WHERE c.id = %(campaign)s AND s.campaign = c.id AND s.seen = %(number)s AND s.listed = 0
