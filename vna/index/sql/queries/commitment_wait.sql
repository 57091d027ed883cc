-- Seconds until a request can be taken.
SELECT extract(epoch FROM greatest(held_until, coalesce(next_attempt_at, now()), now()) - now())
FROM commitment
WHERE id = %s AND state IN ('checking', 'reporting')
