-- Partitioned tables of which the planner knows nothing, or much less than there is: autovacuum looks after partitions alone.
SELECT format('ANALYZE %s%s', CASE WHEN current_setting('server_version_num')::integer >= 180000 THEN 'ONLY ' END, c.oid::regclass)
FROM pg_class c
WHERE c.relkind = 'p' AND pg_table_is_visible(c.oid) AND (
    SELECT sum(greatest(l.reltuples, 0)) FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf
) > 1.2 * greatest(c.reltuples, 0) + 1000
ORDER BY 1
