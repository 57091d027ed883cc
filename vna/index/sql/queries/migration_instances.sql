-- Instances of a study as the source lists them. One that came before it was listed is to be verified now; one of another size
-- than before is another one.
INSERT INTO migration_instance AS i (
    study, campaign, seen, series_instance_uid, sop_instance_uid, sop_class_uid, transfer_syntax_uid, modality, place,
    size, number_of_frames)
SELECT s.id, s.campaign, %(number)s, n.* FROM migration_study s, unnest(
    %(series)s::text[], %(uids)s::text[], %(classes)s::text[], %(syntaxes)s::text[], %(modalities)s::text[],
    %(places)s::text[], %(sizes)s::bigint[], %(frames)s::integer[]) AS n
WHERE s.id = %(study)s
ON CONFLICT (study, sop_instance_uid, series_instance_uid, hashtextextended(place, 0)) DO UPDATE SET
    seen = greatest(i.seen, excluded.seen), sop_class_uid = excluded.sop_class_uid, transfer_syntax_uid = excluded.transfer_syntax_uid,
    modality = excluded.modality, size = excluded.size, number_of_frames = excluded.number_of_frames,
    state = CASE WHEN i.reason = 'not-listed' THEN 'landed' WHEN i.reason = 'gone-from-source' THEN 'queued'
        WHEN i.state = 'verified' AND i.size <> excluded.size THEN 'queued' ELSE i.state END,
    verified_at = CASE WHEN i.size <> excluded.size THEN NULL ELSE i.verified_at END,
    reason = CASE WHEN i.reason IN ('not-listed', 'gone-from-source') THEN '' ELSE i.reason END
RETURNING xmax = 0
