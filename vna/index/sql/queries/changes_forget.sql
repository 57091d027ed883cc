-- Forgets the changes that are older than so many days, but for the last one, which keeps the count.
DELETE FROM change WHERE number < coalesce(
    (SELECT c.number FROM change c WHERE c.at > now() - make_interval(days => %s) ORDER BY c.number LIMIT 1),
    (SELECT max(c.number) FROM change c))
