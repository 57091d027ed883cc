-- Takes the doubt about one object for a while, whoever else has it.
WITH taken AS (
    UPDATE copy SET next_attempt_at = now() + make_interval(secs => %(hold)s), attempts = attempts + 1
    WHERE next_attempt_at IS NOT NULL AND backend = %(backend)s
        AND (key = %(key)s AND "offset" = %(offset)s
            OR key IS NULL AND of_backend = backend AND of_key = %(key)s AND of_offset = %(offset)s)
    RETURNING of_backend, of_key, of_offset, backend, key, "offset", attempts
)
SELECT t.of_backend, t.of_key, t.of_offset, n.length, t.backend, t.key, t."offset", t.attempts,
    n.object_digest, n.study_instance_uid, n.series_instance_uid, n.sop_instance_uid
FROM taken t
JOIN named_object n ON n.key = t.of_key AND n."offset" = t.of_offset AND n.backend = t.of_backend
