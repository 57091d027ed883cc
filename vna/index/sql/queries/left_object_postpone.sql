-- Has an object that was left behind removed later.
UPDATE left_object SET goes_at = now() + make_interval(secs => %(seconds)s)
WHERE key = %(key)s AND "offset" = %(offset)s AND backend = %(backend)s
