-- A copy that is due is not wanted any more.
DELETE FROM copy
WHERE of_key = %(key)s AND of_offset = %(offset)s AND of_backend = %(of)s AND backend = %(backend)s AND key IS NULL
