-- Gives an instance whose object is lost or damaged the object that came again; no row when somebody was faster.
WITH moved AS (
    UPDATE location
    SET backend = %(backend)s, key = %(key)s, "offset" = %(offset)s, length = %(length)s
    WHERE instance = %(id)s AND key = %(lost_key)s AND "offset" = %(lost_offset)s
    RETURNING instance AS id
), described AS (
    UPDATE instance AS o
    SET dataset_offset = %(dataset_offset)s, header_length = %(header_length)s,
        pixel_offset = %(pixel_offset)s, pixel_length = %(pixel_length)s, tail_offset = %(tail_offset)s,
        frames = %(frames)s, object_digest = %(object_digest)s
    FROM moved WHERE o.id = moved.id
    RETURNING o.id
)
INSERT INTO audit (
    action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
SELECT 'instance.healed', %(door)s, %(peer)s, %(address)s, %(correlation_id)s, %(study)s, %(uid)s,
    jsonb_build_object('lost_key', %(lost_key)s::text)
FROM described
RETURNING id
