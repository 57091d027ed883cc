-- Gives an instance, or a conflicting version, whose object is lost or damaged the object that came again; no row when somebody was faster.
WITH moved AS (
    UPDATE location
    SET backend = %(backend)s, key = %(key)s, "offset" = %(offset)s, length = %(length)s
    WHERE key = %(lost_key)s AND "offset" = %(lost_offset)s AND (instance = %(instance)s OR conflict = %(conflict)s)
    RETURNING instance, conflict
), dropped AS (
    DELETE FROM copy AS c USING moved
    WHERE c.of_key = %(lost_key)s AND c.of_offset = %(lost_offset)s AND c.of_backend = %(lost_backend)s
    RETURNING c.backend, c.key, c."offset"
), left_behind AS (
    INSERT INTO left_object (backend, key, "offset", of_backend, of_key, of_offset, is_damaged, goes_at)
    SELECT w.backend, w.key, w."offset", %(backend)s, %(key)s, %(offset)s, true, now() FROM (
        SELECT %(lost_backend)s AS backend, %(lost_key)s AS key, %(lost_offset)s AS "offset" FROM moved
        UNION ALL
        SELECT backend, key, "offset" FROM dropped WHERE key IS NOT NULL) AS w
), copied AS (
    INSERT INTO copy (of_backend, of_key, of_offset, backend, key, due_since, next_attempt_at)
    SELECT %(backend)s, %(key)s, %(offset)s, n.backend, nullif(n.key, ''),
        CASE n.key WHEN '' THEN now() END, CASE n.key WHEN '' THEN now() END
    FROM moved, unnest(%(copy_backends)s::text[], %(copy_keys)s::text[]) AS n (backend, key)
), of_instance AS (
    UPDATE instance AS o
    SET dataset_offset = %(dataset_offset)s, header_length = %(header_length)s,
        pixel_offset = %(pixel_offset)s, pixel_length = %(pixel_length)s, tail_offset = %(tail_offset)s,
        frames = %(frames)s, object_digest = %(object_digest)s
    FROM moved WHERE o.id = moved.instance
    RETURNING o.id
), of_conflict AS (
    UPDATE conflict AS o
    SET dataset_offset = %(dataset_offset)s, header_length = %(header_length)s,
        pixel_offset = %(pixel_offset)s, pixel_length = %(pixel_length)s, tail_offset = %(tail_offset)s,
        frames = %(frames)s, object_digest = %(object_digest)s
    FROM moved WHERE o.id = moved.conflict
    RETURNING o.id
)
INSERT INTO audit (
    action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
SELECT 'instance.healed', %(door)s, %(peer)s, %(address)s, %(correlation_id)s, %(study)s, %(uid)s,
    jsonb_build_object('lost_key', %(lost_key)s::text)
FROM (SELECT id FROM of_instance UNION ALL SELECT id FROM of_conflict) AS described
RETURNING id
