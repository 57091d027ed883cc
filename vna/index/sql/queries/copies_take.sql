-- Takes what is due for a while, the longest waiting first; nothing for a backend of those left out, or being swept.
WITH taken AS (
    UPDATE copy SET next_attempt_at = now() + make_interval(secs => %(hold)s), attempts = attempts + 1
    WHERE (of_key, of_offset, of_backend, backend) IN (
        SELECT d.of_key, d.of_offset, d.of_backend, d.backend FROM copy d
        WHERE d.next_attempt_at <= now() AND d.backend <> ALL(%(without)s::text[])
            AND NOT EXISTS (
                SELECT FROM location l JOIN trash_item t ON t.id = l.trash_item
                WHERE l.key = d.of_key AND l."offset" = d.of_offset AND l.backend = d.of_backend
                    AND t.sweep_began_at IS NOT NULL)
        ORDER BY d.next_attempt_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING of_backend, of_key, of_offset, backend, key, "offset", attempts
)
SELECT t.of_backend, t.of_key, t.of_offset, n.length, t.backend, t.key, t."offset", t.attempts,
    n.object_digest, n.study_instance_uid, n.series_instance_uid, n.sop_instance_uid
FROM taken t
JOIN named_object n ON n.key = t.of_key AND n."offset" = t.of_offset AND n.backend = t.of_backend
