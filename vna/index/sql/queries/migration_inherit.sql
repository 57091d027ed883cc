-- The studies of workers that are gone wait again; one over which many ended without getting on is parked.
UPDATE migration_study s SET holder = NULL, changed_at = now(), attempts = greatest(s.attempts - 1, 0),
    losses = CASE WHEN p.got_on THEN 0 ELSE s.losses + 1 END,
    state = CASE WHEN NOT p.got_on AND s.losses + 1 >= %(most)s THEN 'parked' ELSE 'queued' END,
    reason = CASE WHEN NOT p.got_on AND s.losses + 1 >= %(most)s THEN 'worker-lost' ELSE s.reason END
FROM (
    SELECT h.id, EXISTS (SELECT FROM migration_instance i WHERE i.study = h.id AND i.landed_at >= h.began_at) AS got_on
    FROM migration_study h
    WHERE h.campaign = %(campaign)s AND h.holder IS NOT NULL
        AND NOT EXISTS (SELECT FROM migration_worker w WHERE w.id = h.holder)) AS p
WHERE s.id = p.id AND s.holder IS NOT NULL AND NOT EXISTS (SELECT FROM migration_worker w WHERE w.id = s.holder)
RETURNING s.id
