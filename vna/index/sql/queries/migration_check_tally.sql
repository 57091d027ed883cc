-- What became of the instances of some studies.
SELECT s.state, i.state, i.reason, count(*), coalesce(sum(coalesce(i.received_size, i.size)), 0)::bigint
FROM migration_instance i JOIN migration_study s ON s.id = i.study
WHERE i.study = ANY(%(studies)s)
GROUP BY 1, 2, 3
