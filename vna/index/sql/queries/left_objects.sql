-- Moved objects whose time has passed; is_needed: something names (a part of) the same object.
SELECT l.backend, l.key, l."offset",
    EXISTS (SELECT FROM location o WHERE o.key = l.key AND o.backend = l.backend)
    OR EXISTS (SELECT FROM copy c WHERE c.key = l.key AND c.backend = l.backend)
FROM left_object l
WHERE NOT l.is_damaged AND l.goes_at <= now()
ORDER BY l.goes_at
LIMIT %(limit)s
