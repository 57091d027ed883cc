-- Begins the sweep of the next items behind a given one that were deleted so many days ago, or of one request.
UPDATE trash_item SET sweep_began_at = coalesce(sweep_began_at, now())
WHERE id IN (
    SELECT i.id FROM trash_item i JOIN trash t ON t.id = i.trash
    WHERE i.id > %(after)s AND t.deleted_at <= now() - make_interval(days => %(days)s)
        AND (%(trash)s::bigint IS NULL OR i.trash = %(trash)s)
    ORDER BY i.id
    LIMIT %(limit)s
    FOR UPDATE OF i SKIP LOCKED)
RETURNING id
