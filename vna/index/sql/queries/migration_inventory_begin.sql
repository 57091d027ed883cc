-- The inventory that is open, or a new one.
WITH open AS (
    SELECT number FROM migration_inventory WHERE campaign = %(campaign)s AND ended_at IS NULL),
made AS (
    INSERT INTO migration_inventory (campaign, number)
    SELECT id, inventory + 1 FROM campaign WHERE id = %(campaign)s AND NOT EXISTS (SELECT FROM open)
    RETURNING number),
known AS (
    UPDATE campaign SET inventory = made.number FROM made WHERE id = %(campaign)s)
SELECT number FROM open UNION ALL SELECT number FROM made
