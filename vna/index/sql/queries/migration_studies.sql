-- Studies as an inventory finds them. What is new, or told otherwise than before, has to be listed (again), and waits; what
-- the source does not count has to be listed each time, and waits when that finds something.
INSERT INTO migration_study AS s (campaign, seen, rank, claimed, study_date, state, study_instance_uid, found)
SELECT c.id, %(number)s, n.rank, n.claimed, n.study_date,
    CASE WHEN c.state = 'new' THEN 'discovered' ELSE 'queued' END, n.uid, n.found
FROM campaign c, unnest(%(uids)s::text[], %(ranks)s::integer[], %(claims)s::integer[], %(dates)s::date[], %(found)s::jsonb[])
    AS n (uid, rank, claimed, study_date, found)
WHERE c.id = %(campaign)s
ORDER BY n.uid
ON CONFLICT (campaign, study_instance_uid) DO UPDATE SET
    seen = excluded.seen, rank = excluded.rank, claimed = excluded.claimed, study_date = excluded.study_date,
    found = excluded.found,
    listed = CASE WHEN s.found = excluded.found AND s.claimed = excluded.claimed OR s.seen = excluded.seen
        THEN s.listed ELSE 0 END,
    attempts = CASE WHEN s.found = excluded.found AND s.claimed IS NOT DISTINCT FROM excluded.claimed OR s.seen = excluded.seen
        OR s.state NOT IN ('verified', 'mismatched', 'parked') THEN s.attempts ELSE 0 END,
    state = CASE WHEN s.found = excluded.found AND s.claimed IS NOT DISTINCT FROM excluded.claimed OR s.seen = excluded.seen
        OR s.state NOT IN ('verified', 'mismatched', 'parked') THEN s.state ELSE excluded.state END,
    changed_at = CASE WHEN s.found = excluded.found AND s.claimed IS NOT DISTINCT FROM excluded.claimed
        THEN s.changed_at ELSE now() END
RETURNING xmax = 0, listed = 0 AND claimed IS NOT NULL
