-- Instances that came although the inventory lacks them.
INSERT INTO migration_instance AS i (
    study, campaign, seen, attempts, landed_at, state, reason, series_instance_uid, sop_instance_uid, sop_class_uid,
    transfer_syntax_uid, modality, place, outcome, received_size, received, received_dataset, conflict,
    rules)
SELECT s.id, s.campaign, 0, 1, now(), 'mismatched', 'not-listed', n.series, n.uid, n.class, n.syntax, '', '', n.outcome,
    n.size, n.received, n.dataset, n.conflict, n.rules
FROM migration_study s, unnest(
    %(series)s::text[], %(uids)s::text[], %(classes)s::text[], %(syntaxes)s::text[], %(outcomes)s::text[],
    %(sizes)s::bigint[], %(received)s::bytea[], %(datasets)s::bytea[], %(conflicts)s::bigint[],
    %(rules)s::integer[]) AS n (series, uid, class, syntax, outcome, size, received, dataset, conflict, rules)
WHERE s.id = %(study)s
ON CONFLICT (study, sop_instance_uid, series_instance_uid, hashtextextended(place, 0)) DO UPDATE
SET attempts = i.attempts + 1 WHERE i.seen = 0
