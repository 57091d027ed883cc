-- Into how many partitions the instances are divided; 0: they lie in one plain table.
SELECT count(i.inhrelid) FROM pg_class c LEFT JOIN pg_inherits i ON i.inhparent = c.oid AND c.relkind = 'p'
WHERE c.oid = 'instance'::regclass
