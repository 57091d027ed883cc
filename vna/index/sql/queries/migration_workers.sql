-- Who works on a campaign, and how.
SELECT name, active, pace, note, began_at FROM migration_worker
WHERE campaign = %(campaign)s AND seen_at > now() - make_interval(secs => %(lease)s) ORDER BY id
