-- Whether the time of a moved object has passed.
SELECT EXISTS (SELECT FROM left_object WHERE NOT is_damaged AND goes_at <= now())
