-- Locations in a backend behind one of them.
SELECT key, "offset", backend FROM location
WHERE backend = %(backend)s AND (key, "offset") > (%(key)s, %(offset)s)
ORDER BY key, "offset"
LIMIT %(limit)s
