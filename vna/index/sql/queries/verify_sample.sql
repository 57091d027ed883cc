-- Some objects that rows name, with their copies, from pages of the table that are chosen at random. They are listed before
-- they are described: more tables than the planner orders by itself would be joined as they stand.
WITH chosen AS MATERIALIZED (
    SELECT o.*
    FROM (SELECT key, "offset", backend FROM location TABLESAMPLE SYSTEM (%(percent)s) ORDER BY random() LIMIT %(count)s) c
    JOIN stored_object o ON o.of_key = c.key AND o.of_offset = c."offset" AND o.of_backend = c.backend
    WHERE o.kind IN ('location', 'copy') AND o.key IS NOT NULL
)
SELECT n.owner, n.study_instance_uid, n.series_instance_uid, n.sop_instance_uid, o.backend, o.key, o."offset", n.length,
    n.object_digest, o.kind, n.backend, n.key, n."offset"
FROM chosen o
JOIN named_object n ON n.key = o.of_key AND n."offset" = o.of_offset AND n.backend = o.of_backend
