-- The final checks of a campaign, the newest first; whether nothing was changed about it since.
SELECT k.id, k.inventory, k.position, k.began_at, k.ended_at, k.is_reread, coalesce(k.has_passed, false),
    k.accepts_exceptions, k.operator, k.findings,
    coalesce(c.state = 'done' AND c.inventory = k.inventory AND c.changed_at <= k.ended_at, false)
FROM migration_final_check k JOIN campaign c ON c.id = k.campaign
WHERE k.campaign = %(campaign)s ORDER BY k.id DESC LIMIT %(limit)s
