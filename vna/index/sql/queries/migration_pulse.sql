-- A sign of life, and what is to be done. No row: others hold this worker for dead, or the campaign is gone.
WITH me AS (
    UPDATE migration_worker SET seen_at = now(), active = %(active)s, pace = %(pace)s, note = %(note)s
    WHERE id = %(worker)s RETURNING id, campaign)
SELECT c.state, c.settings, 1 + count(w.id), count(w.id) FILTER (WHERE w.id < me.id), coalesce(sum(w.active), 0)
FROM me
JOIN campaign c ON c.id = me.campaign
LEFT JOIN migration_worker w ON w.campaign = me.campaign AND w.id <> me.id
    AND w.seen_at > now() - make_interval(secs => %(lease)s)
GROUP BY me.id, c.id
