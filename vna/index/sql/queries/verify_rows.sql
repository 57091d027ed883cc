-- Objects of a backend that rows name, by key and offset, behind one of them. Each kind is limited by itself: the view of
-- all kinds would be sorted as a whole for every page.
WITH page (kind, backend, key, "offset", of_backend, of_key, of_offset) AS (
    (SELECT 'location', backend, key, "offset", backend, key, "offset"
    FROM location WHERE backend = %(backend)s AND (key, "offset") > (%(after)s, %(offset)s)
    ORDER BY key, "offset" LIMIT %(limit)s)
    UNION ALL
    (SELECT 'copy', backend, key, "offset", of_backend, of_key, of_offset
    FROM copy WHERE backend = %(backend)s AND (key, "offset") > (%(after)s, %(offset)s) AND key IS NOT NULL
    ORDER BY key, "offset" LIMIT %(limit)s)
    UNION ALL
    (SELECT CASE WHEN is_damaged THEN 'damaged' ELSE 'moved' END, backend, key, "offset", of_backend, of_key, of_offset
    FROM left_object WHERE backend = %(backend)s AND (key, "offset") > (%(after)s, %(offset)s)
    ORDER BY key, "offset" LIMIT %(limit)s)
)
SELECT n.owner, n.study_instance_uid, n.series_instance_uid, n.sop_instance_uid, o.backend, o.key, o."offset", n.length,
    n.object_digest, o.kind, n.backend, n.key, n."offset"
FROM (SELECT * FROM page ORDER BY key, "offset" LIMIT %(limit)s) o
JOIN named_object n ON n.key = o.of_key AND n."offset" = o.of_offset AND n.backend = o.of_backend
ORDER BY o.key, o."offset"
