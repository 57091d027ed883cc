-- The archive has acknowledged these instances.
UPDATE migration_instance i SET state = 'landed', landed_at = now(), reason = '', detail = NULL, evidence = NULL,
    outcome = n.outcome, received_size = n.size, received = n.received, received_dataset = n.dataset, conflict = n.conflict
FROM unnest(%(ids)s::bigint[], %(outcomes)s::text[], %(sizes)s::bigint[], %(received)s::bytea[], %(datasets)s::bytea[],
    %(conflicts)s::bigint[]) AS n (id, outcome, size, received, dataset, conflict)
WHERE i.id = n.id AND i.state <> 'verified'
