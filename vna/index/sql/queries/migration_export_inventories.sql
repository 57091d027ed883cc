-- When a source was asked for all that it has.
SELECT number, began_at, ended_at FROM migration_inventory WHERE campaign = %(campaign)s ORDER BY number
