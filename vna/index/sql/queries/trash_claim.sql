-- Begins the sweep of the next items behind a given one that were deleted so many days ago, or of one request.
-- The chosen ones stand in a materialised list: as a subquery they may be chosen anew for each row, and be more than asked for.
WITH chosen AS MATERIALIZED (
    SELECT i.id FROM trash_item i JOIN trash t ON t.id = i.trash
    WHERE i.id > %(after)s AND t.deleted_at <= now() - make_interval(days => %(days)s)
        AND (%(trash)s::bigint IS NULL OR i.trash = %(trash)s)
    ORDER BY i.id
    LIMIT %(limit)s
    FOR UPDATE OF i SKIP LOCKED)
UPDATE trash_item SET sweep_began_at = coalesce(sweep_began_at, now())
FROM chosen WHERE trash_item.id = chosen.id
RETURNING trash_item.id
