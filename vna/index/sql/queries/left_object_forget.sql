-- Forgets an object that was left behind and is gone.
DELETE FROM left_object WHERE key = %(key)s AND "offset" = %(offset)s AND backend = %(backend)s
