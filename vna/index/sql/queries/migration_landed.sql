-- The archive has acknowledged these instances.
UPDATE migration_instance i SET state = 'landed', landed_at = now(), reason = '', detail = NULL, evidence = NULL,
    outcome = n.outcome, received_size = n.size, received = n.received, received_dataset = n.dataset, conflict = n.conflict,
    rules = n.rules
FROM unnest(%(ids)s::bigint[], %(outcomes)s::text[], %(sizes)s::bigint[], %(received)s::bytea[], %(datasets)s::bytea[],
    %(conflicts)s::bigint[], %(rules)s::integer[]) AS n (id, outcome, size, received, dataset, conflict, rules)
WHERE i.id = n.id AND i.state <> 'verified'
