-- Where a verification is, and what it has seen since the last time.
UPDATE verification SET seen_at = now(), backend = %(backend)s, position = %(position)s,
    objects = objects + %(objects)s, size = size + %(size)s
WHERE id = %(run)s
