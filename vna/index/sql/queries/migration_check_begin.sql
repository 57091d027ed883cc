-- The final check that was cut off lately goes on if it is of the same kind and nobody has worked on a study since, else a
-- new one; others that are open are over.
WITH open AS (
    UPDATE migration_final_check k SET inventory = c.inventory, operator = %(operator)s
    FROM campaign c
    WHERE c.id = %(campaign)s AND k.campaign = c.id AND k.ended_at IS NULL AND k.is_reread = %(reread)s
        AND k.began_at > now() - make_interval(days => %(days)s)
        AND NOT EXISTS (SELECT FROM migration_study s WHERE s.campaign = c.id AND s.changed_at >= k.began_at)
    RETURNING k.id, k.inventory, k.position, k.began_at, k.findings),
over AS (
    UPDATE migration_final_check k SET ended_at = now(), has_passed = false
    WHERE k.campaign = %(campaign)s AND k.ended_at IS NULL AND NOT EXISTS (SELECT FROM open)
    RETURNING k.id)
SELECT id, inventory, position, began_at, findings FROM open
