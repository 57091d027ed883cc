-- Something that an inventory could not read: an instance without UIDs, of a study without one.
WITH nobody AS (
    INSERT INTO migration_study AS s (campaign, seen, listed, rank, state, reason, study_instance_uid, found, exceptions)
    VALUES (%(campaign)s, %(number)s, %(number)s, 0, 'parked', 'unreadable', '', '{"modalities": []}', 1)
    ON CONFLICT (campaign, study_instance_uid) DO UPDATE
    SET seen = excluded.seen, listed = excluded.listed, state = excluded.state, changed_at = now()
    RETURNING id, campaign)
INSERT INTO migration_instance AS i (study, campaign, seen, state, reason, detail, series_instance_uid, sop_instance_uid,
    sop_class_uid, transfer_syntax_uid, modality, place)
SELECT id, campaign, %(number)s, 'parked', 'unreadable', %(detail)s, '', '', '', '', '', %(place)s FROM nobody
ON CONFLICT (study, sop_instance_uid, series_instance_uid, hashtextextended(place, 0)) DO UPDATE
SET seen = excluded.seen, state = excluded.state, reason = excluded.reason, detail = excluded.detail
