-- Lets another object take the place of a location's, or of a copy's; false: it has changed since.
SELECT move_object(%(of_backend)s, %(of_key)s, %(of_offset)s, %(backend)s, %(key)s, %(offset)s,
    %(new_backend)s, %(new_key)s, %(new_offset)s, %(is_damaged)s)
