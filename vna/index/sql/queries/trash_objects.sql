-- The objects of items whose sweep has begun, with copies and what was left behind; is_last: no row of anything that may
-- still be wanted names the object.
SELECT i.id, o.backend, o.key, o."offset", l.length, NOT EXISTS (
    SELECT FROM location n LEFT JOIN trash_item t ON t.id = n.trash_item
    WHERE n.key = o.key AND n.backend = o.backend AND t.sweep_began_at IS NULL)
    AND NOT EXISTS (
    SELECT FROM copy c
    JOIN location n ON n.key = c.of_key AND n."offset" = c.of_offset AND n.backend = c.of_backend
    LEFT JOIN trash_item t ON t.id = n.trash_item
    WHERE c.key = o.key AND c.backend = o.backend AND t.sweep_began_at IS NULL)
FROM trash_item i
LEFT JOIN location l ON l.trash_item = i.id
LEFT JOIN stored_object o ON o.of_key = l.key AND o.of_offset = l."offset" AND o.of_backend = l.backend
    AND o.key IS NOT NULL
WHERE i.id = ANY(%s::bigint[]) AND i.sweep_began_at IS NOT NULL
ORDER BY i.id
