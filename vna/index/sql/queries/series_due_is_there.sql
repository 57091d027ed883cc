-- Whether a series has been at rest for long enough.
SELECT 1 FROM series_due d
WHERE d.changed_at <= now() - make_interval(secs => %(settle)s) AND d.taken_until < now()
LIMIT 1
