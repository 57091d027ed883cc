-- How many studies and instances of a campaign are in each state.
SELECT level, state, sum(count)::bigint, sum(amount)::bigint FROM migration_count
WHERE campaign = %(campaign)s GROUP BY 1, 2 HAVING sum(count) > 0
