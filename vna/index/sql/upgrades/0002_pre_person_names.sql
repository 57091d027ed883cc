-- Person names as tokens, for fuzzy matching (PS3.4 C.2.2.2.1.1), and moments in another time zone. The tokens of what
-- is there already are made by the archive (vna/index/name_tokens.py): SQL can't tell how a name sounds.

CREATE FUNCTION lexemes_of(names jsonb) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN array_to_tsvector(ARRAY(
    SELECT key || token FROM jsonb_each(names), jsonb_array_elements_text(value) AS token));
COMMENT ON FUNCTION lexemes_of IS 'the tokens of person names, by the key of their attribute, each behind its key';

CREATE FUNCTION new_lexemes_of(names jsonb, known tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN known || lexemes_of(names - ARRAY(SELECT DISTINCT left(l, 8) FROM unnest(tsvector_to_array(known)) AS l));
COMMENT ON FUNCTION new_lexemes_of IS 'known with the tokens of those attributes of which it has none yet';

CREATE FUNCTION offset_of(attributes jsonb) RETURNS interval
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := regexp_match(attributes -> '00080201' -> 'Value' ->> 0, '^([+-])(0[0-9]|1[0-4])([0-5][0-9])$');
BEGIN
    RETURN make_interval(mins => (parts[1] || '1')::integer * (parts[2]::integer * 60 + parts[3]::integer));
END $$;
COMMENT ON FUNCTION offset_of IS 'Timezone Offset From UTC among attributes; NULL when there is none';

CREATE FUNCTION shifted(moment timestamp, attributes jsonb, zone text, minutes integer) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN offset_of(attributes) IS NOT NULL THEN moment - offset_of(attributes) + make_interval(mins => minutes)
    WHEN zone = '' THEN moment
    ELSE moment AT TIME ZONE zone AT TIME ZONE 'UTC' + make_interval(mins => minutes)
END;
COMMENT ON FUNCTION shifted IS 'a moment as the clocks of an offset from UTC (in minutes) showed it; attributes, else zone, tell where it was noted';

ALTER TABLE study ADD COLUMN person_names tsvector;
COMMENT ON COLUMN study.person_names IS 'tokens of the person names of study and patient, each behind the key of its attribute; NULL: not made yet';
CREATE INDEX study_by_person_names ON study USING gin (person_names) WITH (fastupdate = off)
    WHERE person_names IS NOT NULL;
CREATE INDEX study_without_person_names ON study (id) WHERE person_names IS NULL;

ALTER TABLE series ADD COLUMN person_names tsvector;
CREATE INDEX series_by_person_names ON series USING gin (person_names) WITH (fastupdate = off)
    WHERE person_names IS NOT NULL;
CREATE INDEX series_without_person_names ON series (id) WHERE person_names IS NULL;

CREATE TABLE person_name_scheme (scheme text COLLATE "C" NOT NULL);
COMMENT ON TABLE person_name_scheme IS 'one row: how the tokens of person names were made; they are made anew for another';

DROP FUNCTION new_study;
CREATE FUNCTION new_study(
    new_study_uid text, new_issuer text, new_patient_id text, new_patient jsonb, new_attributes jsonb,
    new_names jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    owner record;
BEGIN
    -- One at a time per study: otherwise the loser of a race would leave a patient without a study behind.
    PERFORM pg_advisory_xact_lock(hashtextextended(new_study_uid, 118));
    IF EXISTS (SELECT FROM study WHERE study_instance_uid = new_study_uid) THEN
        RETURN;
    END IF;
    SELECT * INTO owner FROM fill_patient(NULL, new_issuer, new_patient_id, new_patient);
    INSERT INTO study (
        patient, study_instance_uid, study_date, study_time, accession_number, study_id, patient_name,
        patient_name_ideographic, patient_name_phonetic, patient_birth_date, patient_sex,
        patient_attributes, attributes, person_names)
    VALUES (
        owner.patient_key, new_study_uid,
        date_of(new_attributes -> '00080020'), time_of(new_attributes -> '00080030'),
        text_of(new_attributes -> '00080050'), text_of(new_attributes -> '00200010'),
        fold_name(new_patient -> '00100010', 'Alphabetic'),
        fold_name(new_patient -> '00100010', 'Ideographic'),
        fold_name(new_patient -> '00100010', 'Phonetic'),
        date_of(new_patient -> '00100030'), text_of(new_patient -> '00100040'),
        owner.differing, new_attributes, lexemes_of(new_names));
END $$;

DROP FUNCTION fill_study;
CREATE FUNCTION fill_study(known study, new_patient jsonb, new_attributes jsonb, new_names jsonb) RETURNS void
LANGUAGE sql AS $$
    -- What a later instance adds; what the first one said stays.
    UPDATE study SET
        attributes = new_attributes || study.attributes,
        patient_attributes = CASE
            WHEN study.patient_attributes IS NOT NULL
                THEN new_patient || study.patient_attributes
            WHEN NOT whole.attributes @> (new_patient - '00080005')
                THEN new_patient || whole.attributes END,
        study_date = coalesce(study.study_date, date_of(new_attributes -> '00080020')),
        study_time = coalesce(study.study_time, time_of(new_attributes -> '00080030')),
        accession_number = coalesce(study.accession_number, text_of(new_attributes -> '00080050')),
        study_id = coalesce(study.study_id, text_of(new_attributes -> '00200010')),
        patient_name = coalesce(study.patient_name, fold_name(new_patient -> '00100010', 'Alphabetic')),
        patient_name_ideographic = coalesce(
            study.patient_name_ideographic, fold_name(new_patient -> '00100010', 'Ideographic')),
        patient_name_phonetic = coalesce(
            study.patient_name_phonetic, fold_name(new_patient -> '00100010', 'Phonetic')),
        patient_birth_date = coalesce(study.patient_birth_date, date_of(new_patient -> '00100030')),
        patient_sex = coalesce(study.patient_sex, text_of(new_patient -> '00100040')),
        person_names = new_lexemes_of(new_names, study.person_names)
    FROM patient AS whole
    WHERE study.id = known.id AND whole.id = study.patient
$$;

-- Nodes that still run the older archive call it without names; the next start makes those tokens.
DROP FUNCTION register_instance;
CREATE FUNCTION register_instance(
    p_study_uid text, p_series_uid text, p_sop_uid text, p_class_uid text, p_syntax_uid text,
    p_issuer text, p_patient_id text,
    p_patient jsonb, p_study jsonb, p_series jsonb, p_instance jsonb,
    p_layout bigint[], p_frame_count integer, p_frames bytea,
    p_object_digest bytea, p_dataset_digest bytea, p_pixel_digest bytea, p_warnings text[],
    p_backend text, p_key text, p_offset bigint, p_length bigint,
    p_door text, p_peer text, p_address text, p_correlation_id text,
    p_study_names jsonb DEFAULT NULL, p_series_names jsonb DEFAULT NULL,
    OUT outcome text, OUT location_is_kept boolean, OUT conflict_id bigint, OUT is_mismatch boolean
) LANGUAGE plpgsql AS $$
DECLARE
    known record;
    instance_key bigint;
    has_created boolean := false;
BEGIN
    -- Locks are taken from the top of the information model downwards, each level once: no two calls can wait
    -- for each other. The order is study (advisory), patient, study, series, instance, conflict.
    -- Without p_patient, p_study and p_series the caller holds that all of it is known; where it is not, nothing is
    -- written, the outcome is NULL, and the caller comes again with everything.
    is_mismatch := false;
    LOOP
        SELECT i.id, i.dataset_digest, i.transfer_syntax_uid, l.key = p_key AND l."offset" = p_offset AS is_ours INTO known
        FROM instance i LEFT JOIN location l ON l.instance = i.id
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
                outcome := 'conflict';
            ELSIF known.is_ours THEN  -- the same call again, after a commit that was never confirmed
                outcome := 'stored';
                location_is_kept := true;
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
            e.attributes ?& keys_of(p_series) AS series_is_full
        INTO known
        FROM study s
        JOIN patient p ON p.id = s.patient
        LEFT JOIN series e ON e.study = s.id AND e.series_instance_uid = p_series_uid
        WHERE s.study_instance_uid = p_study_uid;
        IF p_study IS NULL AND (NOT FOUND OR known.series IS NULL OR known.is_mismatch) THEN
            RETURN;
        ELSIF NOT FOUND THEN
            PERFORM new_study(p_study_uid, p_issuer, p_patient_id, p_patient, p_study, p_study_names);
            has_created := true;
            CONTINUE;
        END IF;
        is_mismatch := known.is_mismatch;
        IF NOT known.is_full AND NOT is_mismatch THEN
            PERFORM fill_study(known.study, p_patient, p_study, p_study_names);
            has_created := true;
        END IF;
        IF known.series IS NULL THEN
            INSERT INTO series (
                study, series_instance_uid, modality, series_number, attributes, person_names)
            VALUES ((known.study).id, p_series_uid,
                text_of(p_series -> '00080060'), integer_of(p_series -> '00200011'), p_series,
                lexemes_of(p_series_names))
            ON CONFLICT (series_instance_uid, study) DO NOTHING;
            has_created := true;
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
            object_digest, dataset_digest, pixel_digest, frames, warnings, attributes)
        VALUES (
            known.series, integer_of(p_instance -> '00200013'), p_frame_count, p_layout[1], p_layout[2],
            p_layout[3], p_layout[4], p_layout[5], p_sop_uid, p_class_uid, p_syntax_uid,
            p_object_digest, p_dataset_digest, p_pixel_digest, p_frames, p_warnings, p_instance)
        ON CONFLICT (sop_instance_uid) DO NOTHING
        RETURNING id INTO instance_key;
        IF FOUND THEN
            INSERT INTO location (instance, "offset", length, backend, key)
            VALUES (instance_key, p_offset, p_length, p_backend, p_key);
            outcome := 'stored';
            location_is_kept := true;
            EXIT;
        END IF;
    END LOOP;

    IF outcome = 'conflict' OR outcome = 'stored' AND is_mismatch THEN
        SELECT c.id, c.is_new INTO known FROM new_conflict(
            CASE WHEN outcome = 'conflict' THEN 'content' ELSE 'patient_mismatch' END,
            p_study_uid, p_series_uid, p_sop_uid, p_class_uid, p_syntax_uid, p_issuer, p_patient_id,
            p_patient, p_study, p_series, p_instance, p_layout, p_frame_count, p_frames,
            p_object_digest, p_dataset_digest, p_pixel_digest, p_warnings,
            p_door, p_peer, p_address, p_correlation_id) AS c;
        IF outcome = 'conflict' THEN
            conflict_id := known.id;
            IF known.is_new THEN
                INSERT INTO location (conflict, "offset", length, backend, key)
                VALUES (known.id, p_offset, p_length, p_backend, p_key);
            END IF;
            location_is_kept := known.is_new OR EXISTS (
                SELECT FROM location l
                WHERE l.conflict = known.id AND l.key = p_key AND l."offset" = p_offset);
        END IF;
    END IF;
    INSERT INTO audit (
        action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
    VALUES ('instance.' || outcome, p_door, p_peer, p_address, p_correlation_id, p_study_uid, p_sop_uid,
        CASE WHEN conflict_id IS NOT NULL THEN jsonb_build_object('conflict_id', conflict_id) END);
END $$;
COMMENT ON FUNCTION register_instance IS 'everything that is written for one received instance, in one transaction';
