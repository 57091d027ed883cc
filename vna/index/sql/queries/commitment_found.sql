-- Keeps the findings of a request that is ours; it is to be reported once they are complete.
UPDATE commitment
SET failure_reasons = %(reasons)s::integer[],
    state = CASE WHEN cardinality(%(reasons)s::integer[]) = cardinality(sop_instance_uids)
        THEN 'reporting' ELSE state END
WHERE id = %(id)s AND holder = %(holder)s AND state IN ('checking', 'reporting')
RETURNING id
