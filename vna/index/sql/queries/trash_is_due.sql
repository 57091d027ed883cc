-- Whether anything was deleted so many days ago.
SELECT EXISTS (SELECT FROM trash WHERE deleted_at <= now() - make_interval(days => %s))
