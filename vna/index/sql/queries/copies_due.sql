-- What is to be copied or healed, by the backend that gets it: how many, how many have failed before, since when.
SELECT c.backend, count(*), count(*) FILTER (WHERE c.last_error IS NOT NULL),
    extract(epoch FROM now() - min(c.due_since))::float8, max(c.last_error)
FROM copy c WHERE c.next_attempt_at IS NOT NULL
GROUP BY c.backend ORDER BY c.backend
