-- What came of instances. Verified once is verified, unless a verification says otherwise.
UPDATE migration_instance i SET state = n.state, reason = n.reason, detail = nullif(n.detail, ''),
    evidence = nullif(n.evidence, ''), verified_at = CASE WHEN n.state = 'verified' THEN now() ELSE i.verified_at END
FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(reasons)s::text[], %(details)s::text[], %(evidences)s::text[])
    AS n (id, state, reason, detail, evidence)
WHERE i.id = n.id
