-- The objects of items whose sweep has begun; is_last: no row of anything that may still be wanted names the object.
SELECT i.id, l.backend, l.key, l."offset", l.length, NOT EXISTS (
    SELECT FROM location o LEFT JOIN trash_item t ON t.id = o.trash_item
    WHERE o.key = l.key AND o.backend = l.backend AND t.sweep_began_at IS NULL)
FROM trash_item i
LEFT JOIN location l ON l.trash_item = i.id
WHERE i.id = ANY(%s::bigint[]) AND i.sweep_began_at IS NOT NULL
ORDER BY i.id
