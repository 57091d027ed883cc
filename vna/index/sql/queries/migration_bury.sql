-- Workers that gave no sign of life while the database was there to be told.
DELETE FROM migration_worker
WHERE campaign = %(campaign)s AND seen_at < now() - make_interval(secs => %(lease)s)
    AND pg_postmaster_start_time() < now() - make_interval(secs => %(lease)s)
RETURNING id
