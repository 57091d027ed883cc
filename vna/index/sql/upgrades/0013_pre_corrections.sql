-- What is changed in instances on their way out, while their objects stay as they came.

CREATE TABLE correction (
    id bigint PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    patch jsonb NOT NULL
);
COMMENT ON TABLE correction IS 'what is changed in instances on their way out, one row for all that are changed alike; never removed';
COMMENT ON COLUMN correction.id IS 'made of the patch, so that equal patches have equal ids in every database';

CREATE TABLE told_correction (
    correction bigint NOT NULL,
    object_digest bytea PRIMARY KEY
);
COMMENT ON TABLE told_correction IS 'by what objects are corrected that no row names yet: told before they are stored, or by a backup';

ALTER TABLE instance ADD COLUMN correction bigint;
COMMENT ON COLUMN instance.correction IS 'what is changed in it on its way out, and is in its attributes already; NULL for nearly all';
ALTER TABLE conflict ADD COLUMN correction bigint;

-- With a further parameter that has a default: callers of the versions before go on as they are.
DROP FUNCTION register_instance(
    text, text, text, text, text, text, text, jsonb, jsonb, jsonb, jsonb, bigint[], integer, bytea, bytea, bytea, bytea,
    text[], text, text, bigint, bigint, text, text, text, text, jsonb, jsonb, bigint, jsonb, text[], text[]);
DROP FUNCTION new_conflict(
    text, text, text, text, text, text, text, text, jsonb, jsonb, jsonb, jsonb, bigint[], integer, bytea, bytea, bytea,
    bytea, text[], text, text, text, text);

CREATE FUNCTION register_instance(
    p_study_uid text, p_series_uid text, p_sop_uid text, p_class_uid text, p_syntax_uid text,
    p_issuer text, p_patient_id text,
    p_patient jsonb, p_study jsonb, p_series jsonb, p_instance jsonb,
    p_layout bigint[], p_frame_count integer, p_frames bytea,
    p_object_digest bytea, p_dataset_digest bytea, p_pixel_digest bytea, p_warnings text[],
    p_backend text, p_key text, p_offset bigint, p_length bigint,
    p_door text, p_peer text, p_address text, p_correlation_id text,
    p_study_names jsonb DEFAULT NULL, p_series_names jsonb DEFAULT NULL, p_known_series bigint DEFAULT NULL,
    p_differences jsonb DEFAULT NULL,
    p_copy_backends text[] DEFAULT NULL, p_copy_keys text[] DEFAULT NULL, p_correction bigint DEFAULT NULL,
    OUT outcome text, OUT location_is_kept boolean, OUT conflict_id bigint, OUT is_mismatch boolean,
    OUT series_key bigint, OUT series_shared jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    known record;
    instance_key bigint;
    has_created boolean := false;
BEGIN
    -- Locks are taken from the top of the information model downwards, each level once: no two calls can wait
    -- for each other. The order is study (advisory), patient, study, series, instance, conflict.
    -- Without p_patient, p_study and p_series the caller holds that all of it is known to the series p_known_series;
    -- where that is gone, nothing is written, the outcome is NULL, and the caller comes again with everything.
    -- A series that is deleted meanwhile breaks the foreign key: the caller comes again as well.
    -- p_differences are from what that series shares; of p_instance it takes only the Instance Number then.
    is_mismatch := false;
    LOOP
        SELECT i.id, i.series, long_digest(i.dataset_digest) AS dataset_digest, i.transfer_syntax_uid,
            EXISTS (SELECT FROM location l WHERE l.instance = i.id AND l.key = p_key AND l."offset" = p_offset) AS is_ours
        INTO known FROM instance i
        WHERE i.sop_instance_uid = p_sop_uid;
        IF FOUND THEN
            IF has_created THEN
                -- Another call was faster with this UID, perhaps in another study: leave no empty study behind.
                RAISE EXCEPTION 'the instance was registered meanwhile' USING ERRCODE = 'serialization_failure';
            ELSIF known.dataset_digest <> p_dataset_digest OR known.transfer_syntax_uid <> p_syntax_uid THEN
                -- The same bytes under another transfer syntax mean something else.
                IF p_study IS NULL THEN
                    RETURN;
                END IF;
                PERFORM FROM instance i WHERE i.id = known.id FOR KEY SHARE;
                CONTINUE WHEN NOT FOUND;  -- it was deleted meanwhile
                outcome := 'conflict';
            ELSIF known.is_ours THEN  -- the same call again, after a commit that was never confirmed
                outcome := 'stored';
                location_is_kept := true;
                SELECT e.id, e.shared INTO series_key, series_shared FROM series e WHERE e.id = known.series;
                RETURN;
            ELSE
                outcome := 'duplicate';
                location_is_kept := false;
            END IF;
            EXIT;
        END IF;

        SELECT s AS study, e.id AS series,
            p.patient_id <> p_patient_id OR p.issuer_of_patient_id <> p_issuer AS is_mismatch,
            coalesce(s.patient_attributes, p.attributes) ?& keys_of(p_patient)
                AND s.attributes ?& keys_of(p_study) AS is_full,
            e.attributes ?& keys_of(p_series) AS series_is_full,
            e.shared IS NOT NULL AS has_shared,
            CASE WHEN p_study IS NOT NULL THEN e.shared END AS shared
        INTO known
        FROM study s
        JOIN patient p ON p.id = s.patient
        LEFT JOIN series e ON e.study = s.id AND e.series_instance_uid = p_series_uid
        WHERE s.study_instance_uid = p_study_uid;
        IF p_study IS NULL AND (NOT FOUND OR known.series IS DISTINCT FROM p_known_series OR known.is_mismatch) THEN
            RETURN;
        ELSIF NOT FOUND THEN
            has_created := new_study(p_study_uid, p_issuer, p_patient_id, p_patient, p_study, p_study_names) OR has_created;
            CONTINUE;
        END IF;
        is_mismatch := known.is_mismatch;
        IF NOT known.is_full AND NOT is_mismatch THEN
            PERFORM fill_study(known.study, p_patient, p_study, p_study_names);
            has_created := true;
        END IF;
        IF known.series IS NULL THEN
            INSERT INTO series (
                study, series_instance_uid, modality, series_number, attributes, person_names, shared)
            VALUES ((known.study).id, p_series_uid,
                text_of(p_series -> '00080060'), integer_of(p_series -> '00200011'), p_series,
                lexemes_of(p_series_names),
                CASE WHEN (SELECT r.version >= 10 FROM oldest_reader r) THEN p_instance - '00200013' END)
            ON CONFLICT (series_instance_uid, study) DO NOTHING;
            has_created := FOUND OR has_created;
            CONTINUE;
        END IF;
        IF NOT known.series_is_full THEN
            UPDATE series SET
                attributes = p_series || attributes,
                modality = coalesce(modality, text_of(p_series -> '00080060')),
                series_number = coalesce(series_number, integer_of(p_series -> '00200011')),
                person_names = new_lexemes_of(p_series_names, person_names)
            WHERE id = known.series;
            has_created := true;
        END IF;

        INSERT INTO instance (
            series, instance_number, number_of_frames, dataset_offset, header_length, pixel_offset,
            pixel_length, tail_offset, sop_instance_uid, sop_class_uid, transfer_syntax_uid,
            object_digest, dataset_digest, pixel_digest, frames, warnings, attributes, differences, correction)
        VALUES (
            known.series, integer_of(p_instance -> '00200013'), p_frame_count, p_layout[1], p_layout[2],
            p_layout[3], p_layout[4], p_layout[5], p_sop_uid, p_class_uid, p_syntax_uid,
            CASE WHEN known.has_shared THEN short_digest(p_object_digest) ELSE p_object_digest END,
            CASE WHEN known.has_shared THEN short_digest(p_dataset_digest) ELSE p_dataset_digest END,
            CASE WHEN known.has_shared THEN short_digest(p_pixel_digest) ELSE p_pixel_digest END, p_frames, p_warnings,
            CASE WHEN p_differences IS NULL AND known.shared IS NULL THEN p_instance END,
            coalesce(p_differences, differences_of(p_instance, known.shared)), p_correction)
        ON CONFLICT (sop_instance_uid) DO NOTHING
        RETURNING id INTO instance_key;
        IF FOUND THEN
            INSERT INTO location (instance, "offset", length, backend, key)
            VALUES (instance_key, p_offset, p_length, p_backend, p_key);
            IF p_copy_backends IS NOT NULL THEN
                PERFORM add_copies(p_backend, p_key, p_offset, p_copy_backends, p_copy_keys);
            END IF;
            IF known.has_shared THEN
                INSERT INTO change_waiting (action, series, uid)
                VALUES ('stored', known.series, packed_uid(p_sop_uid));
            ELSE
                INSERT INTO change_waiting (action, study_instance_uid, series_instance_uid, sop_instance_uid)
                VALUES ('stored', p_study_uid, p_series_uid, p_sop_uid);
            END IF;
            outcome := 'stored';
            location_is_kept := true;
            series_key := known.series;
            series_shared := known.shared;
            EXIT;
        END IF;
    END LOOP;

    IF outcome = 'conflict' OR outcome = 'stored' AND is_mismatch THEN
        SELECT c.id, c.is_new INTO known FROM new_conflict(
            CASE WHEN outcome = 'conflict' THEN 'content' ELSE 'patient_mismatch' END,
            p_study_uid, p_series_uid, p_sop_uid, p_class_uid, p_syntax_uid, p_issuer, p_patient_id,
            p_patient, p_study, p_series, p_instance, p_layout, p_frame_count, p_frames,
            p_object_digest, p_dataset_digest, p_pixel_digest, p_warnings,
            p_door, p_peer, p_address, p_correlation_id, p_correction) AS c;
        IF outcome = 'conflict' THEN
            conflict_id := known.id;
            IF known.is_new THEN
                INSERT INTO location (conflict, "offset", length, backend, key)
                VALUES (known.id, p_offset, p_length, p_backend, p_key);
                IF p_copy_backends IS NOT NULL THEN
                    PERFORM add_copies(p_backend, p_key, p_offset, p_copy_backends, p_copy_keys);
                END IF;
            END IF;
            location_is_kept := known.is_new OR EXISTS (
                SELECT FROM location l
                WHERE l.conflict = known.id AND l.key = p_key AND l."offset" = p_offset);
        END IF;
    END IF;
    IF conflict_id IS NULL THEN
        INSERT INTO audit_instance (occasion, uid) VALUES (
            coalesce((
                SELECT o.id FROM audit_occasion o
                WHERE o.study_instance_uid = p_study_uid AND o.correlation_id = p_correlation_id
                    AND o.action = 'instance.' || outcome
                    AND o.door = p_door AND o.peer = p_peer AND o.address = p_address
                LIMIT 1
            ), new_occasion('instance.' || outcome, p_door, p_peer, p_address, p_correlation_id, p_study_uid)),
            packed_uid(p_sop_uid));
    ELSE
        INSERT INTO audit_line (
            action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
        VALUES ('instance.' || outcome, p_door, p_peer, p_address, p_correlation_id, p_study_uid, p_sop_uid,
            jsonb_build_object('conflict_id', conflict_id));
    END IF;
END $$;
COMMENT ON FUNCTION register_instance IS 'everything that is written for one received instance, in one transaction';
-- partitioned: ALTER FUNCTION register_instance SET plan_cache_mode = force_generic_plan;

CREATE FUNCTION new_conflict(
    p_kind text,
    p_study_uid text, p_series_uid text, p_sop_uid text, p_class_uid text, p_syntax_uid text,
    p_issuer text, p_patient_id text,
    p_patient jsonb, p_study jsonb, p_series jsonb, p_instance jsonb,
    p_layout bigint[], p_frame_count integer, p_frames bytea,
    p_object_digest bytea, p_dataset_digest bytea, p_pixel_digest bytea, p_warnings text[],
    p_door text, p_peer text, p_address text, p_correlation_id text, p_correction bigint DEFAULT NULL,
    OUT id bigint, OUT is_new boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- The same version again, or the same patient again, is no second conflict.
    LOOP
        IF p_kind = 'content' THEN
            SELECT c.id INTO new_conflict.id FROM conflict c
            WHERE c.kind = 'content' AND c.sop_instance_uid = p_sop_uid
                AND c.dataset_digest = p_dataset_digest AND c.transfer_syntax_uid = p_syntax_uid;
        ELSE
            SELECT c.id INTO new_conflict.id FROM conflict c
            WHERE c.kind = 'patient_mismatch' AND c.study_instance_uid = p_study_uid
                AND c.patient_id = p_patient_id AND c.issuer_of_patient_id = p_issuer;
        END IF;
        is_new := NOT FOUND;
        EXIT WHEN FOUND;
        INSERT INTO conflict (
            kind, study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid,
            transfer_syntax_uid, issuer_of_patient_id, patient_id, number_of_frames, dataset_offset,
            header_length, pixel_offset, pixel_length, tail_offset, object_digest, dataset_digest,
            pixel_digest, frames, warnings, attributes, door, peer, address, correlation_id, correction)
        VALUES (
            p_kind, p_study_uid, p_series_uid, p_sop_uid, p_class_uid,
            p_syntax_uid, p_issuer, p_patient_id, p_frame_count, p_layout[1],
            p_layout[2], p_layout[3], p_layout[4], p_layout[5], p_object_digest, p_dataset_digest,
            p_pixel_digest, p_frames, p_warnings,
            jsonb_build_object(
                'patient', p_patient, 'study', p_study, 'series', p_series, 'instance', p_instance),
            p_door, p_peer, p_address, p_correlation_id, p_correction)
        ON CONFLICT DO NOTHING
        RETURNING conflict.id INTO new_conflict.id;
        EXIT WHEN FOUND;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION restore_conflict(entry trash, item trash_item, was instance, kind text, OUT id bigint, OUT is_new boolean)
LANGUAGE sql AS $$
    SELECT c.id, c.is_new FROM new_conflict(
        kind, entry.study_instance_uid, entry.series -> (item.description ->> 'series') ->> 'series_instance_uid',
        was.sop_instance_uid, was.sop_class_uid, was.transfer_syntax_uid,
        entry.patient ->> 'issuer_of_patient_id', entry.patient ->> 'patient_id',
        CASE jsonb_typeof(entry.study -> 'patient_attributes')
            WHEN 'object' THEN entry.study -> 'patient_attributes' ELSE entry.patient -> 'attributes' END,
        entry.study -> 'attributes', entry.series -> (item.description ->> 'series') -> 'attributes', was.attributes,
        ARRAY[was.dataset_offset, was.header_length, was.pixel_offset, was.pixel_length, was.tail_offset],
        was.number_of_frames, was.frames, was.object_digest, was.dataset_digest, was.pixel_digest, was.warnings,
        entry.door, entry.peer, entry.address, entry.correlation_id, was.correction) AS c
$$;
COMMENT ON FUNCTION restore_conflict IS 'a conflict that a restored instance makes, told of whoever deleted it';
