-- An object of a location with its copies.
SELECT n.owner, n.study_instance_uid, n.series_instance_uid, n.sop_instance_uid, n.backend, n.key, n."offset", n.length,
    n.object_digest,
    ARRAY(SELECT ARRAY[c.backend, c.key, c."offset"::text] FROM copy c
        WHERE c.of_key = n.key AND c.of_offset = n."offset" AND c.of_backend = n.backend AND c.key IS NOT NULL
        ORDER BY c.backend),
    ARRAY(SELECT c.backend FROM copy c
        WHERE c.of_key = n.key AND c.of_offset = n."offset" AND c.of_backend = n.backend AND c.key IS NULL
        ORDER BY c.backend),
    (SELECT coalesce(i.correction, c.correction, (t.description ->> 'correction')::bigint)
        FROM location l
        LEFT JOIN instance i ON i.id = l.instance
        LEFT JOIN conflict c ON c.id = l.conflict
        LEFT JOIN trash_item t ON t.id = l.trash_item
        WHERE l.key = n.key AND l."offset" = n."offset" AND l.backend = n.backend)
FROM named_object n
WHERE n.key = %(key)s AND n."offset" = %(offset)s AND n.backend = %(backend)s
