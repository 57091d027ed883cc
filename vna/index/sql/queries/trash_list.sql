-- What can be restored or waits for its sweep, oldest first, from behind a given id.
SELECT t.id, t.deleted_at, t.study_instance_uid, t.series_instance_uid, t.sop_instance_uid, t.door, t.peer, t.address,
    t.correlation_id, count(*) FILTER (WHERE i.kind = 'instance'), coalesce(sum(l.length), 0)::bigint,
    count(*) FILTER (WHERE i.sweep_began_at IS NOT NULL)
FROM trash t
JOIN trash_item i ON i.trash = t.id
LEFT JOIN location l ON l.trash_item = i.id
WHERE t.id > %(after)s AND %(study)s IN ('', t.study_instance_uid)
GROUP BY t.id
ORDER BY t.id
LIMIT %(limit)s
