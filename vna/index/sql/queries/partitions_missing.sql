-- Statements that make the partitions which are missing: by hash as many as asked for, or as the instances have, of years
-- and of blocks of changes those ahead, and one for what lies in none of them.
WITH parent AS (
    SELECT c.oid, c.relname, p.partstrat, p.partdefid, format_type(a.atttypid, NULL) AS key_type,
        (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = c.oid) AS partitions
    FROM pg_partitioned_table p
    JOIN pg_class c ON c.oid = p.partrelid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE pg_table_is_visible(c.oid)
), wanted AS (
    SELECT relname, n::text AS suffix, format('FOR VALUES WITH (MODULUS %%s, REMAINDER %%s)', by_hash.count, n) AS bounds
    FROM parent,
        LATERAL (SELECT coalesce(
            %(partitions)s::bigint, (SELECT i.partitions FROM parent i WHERE i.relname = 'instance')) AS count) AS by_hash,
        generate_series(0, by_hash.count - 1) AS n
    WHERE partstrat = 'h' AND partitions = 0
    UNION ALL
    SELECT relname, year::text, format('FOR VALUES FROM (%%L) TO (%%L)',
        make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC'), make_timestamptz(year + 1, 1, 1, 0, 0, 0, 'UTC'))
    FROM parent, generate_series(0, %(ahead)s) AS n,
        LATERAL (SELECT extract(year FROM now() AT TIME ZONE 'UTC')::integer + n AS year) AS counted
    WHERE partstrat = 'r' AND key_type = 'timestamp with time zone'
    UNION ALL
    SELECT relname, n::text, format('FOR VALUES FROM (%%s) TO (%%s)', n * %(block)s::bigint, (n + 1) * %(block)s::bigint)
    FROM parent, (SELECT coalesce(max(number), 0) / %(block)s::bigint AS block FROM change) AS newest,
        generate_series(newest.block, newest.block + %(ahead)s) AS n
    WHERE partstrat = 'r' AND key_type = 'bigint'
    UNION ALL
    SELECT relname, 'others', 'DEFAULT' FROM parent WHERE partstrat = 'r' AND partdefid = 0
)
SELECT format('CREATE TABLE %%I PARTITION OF %%I %%s', relname || '_' || suffix, relname, bounds)
FROM wanted
WHERE to_regclass(quote_ident(relname || '_' || suffix)) IS NULL
ORDER BY 1
