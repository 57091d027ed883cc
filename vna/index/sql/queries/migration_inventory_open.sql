-- Whether an inventory is under way.
SELECT EXISTS (SELECT FROM migration_inventory WHERE campaign = %(campaign)s AND ended_at IS NULL)
