-- Locations elsewhere that have a copy in a backend, written or due, behind one of them.
SELECT of_key, of_offset, of_backend FROM copy
WHERE backend = %(backend)s AND of_backend <> backend
    AND (of_key, of_offset, of_backend) > (%(key)s, %(offset)s, %(of)s)
ORDER BY of_key, of_offset, of_backend
LIMIT %(limit)s
