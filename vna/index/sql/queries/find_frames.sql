-- An instance with the places of some frames: of a long table only their entries travel. Only of RLE it matters how
-- wide pixels are.
SELECT i.id, s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid, i.sop_class_uid,
    i.transfer_syntax_uid, i.number_of_frames, i.dataset_offset, i.header_length, i.pixel_offset,
    i.pixel_length, i.tail_offset, l.backend, l.key, l."offset", l.length, i.object_digest, i.dataset_digest, i.correction,
    CASE WHEN i.transfer_syntax_uid = '1.2.840.10008.1.2.5' THEN
        element_of(i.attributes, i.differences, e.shared, i.instance_number, '00280100') -> 'Value' ->> 0 END,
    octet_length(i.frames),
    CASE WHEN octet_length(i.frames) <= asked.whole THEN i.frames ELSE substring(i.frames FOR 33) END,
    CASE WHEN octet_length(i.frames) > asked.whole THEN (
        SELECT string_agg(substring(i.frames FROM 8 * number - 6 FOR 16), ''::bytea ORDER BY place)
        FROM unnest(asked.numbers) WITH ORDINALITY AS listed (number, place)
    ) END
FROM (SELECT %s::integer AS whole, %s::integer[] AS numbers) asked
CROSS JOIN instance i
JOIN location l ON l.instance = i.id
JOIN series e ON e.id = i.series
JOIN study s ON s.id = e.study
WHERE i.sop_instance_uid = %s AND e.series_instance_uid = %s AND s.study_instance_uid = %s
