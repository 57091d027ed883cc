-- Series whose person names have no tokens yet, with what holds the names; kept from changing meanwhile.
SELECT e.id, e.attributes
FROM series e
WHERE e.person_names IS NULL
ORDER BY e.id
LIMIT %s
FOR UPDATE SKIP LOCKED
