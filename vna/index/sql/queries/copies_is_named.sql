-- Whether a row names an object, perhaps since a call whose commit was never confirmed.
SELECT EXISTS (SELECT FROM stored_object WHERE backend = %(backend)s AND key = %(new_key)s)
