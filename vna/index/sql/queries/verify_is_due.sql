-- Whether a scheduled verification is open, or none began in the last days.
SELECT coalesce(bool_or(ended_at IS NULL), false)
    OR coalesce(max(began_at) <= now() - make_interval(days => %(days)s), true)
FROM verification WHERE is_scheduled
