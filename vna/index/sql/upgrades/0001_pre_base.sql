-- The present schema; upgrades/ is the road to it, and a test compares the two.
-- Attributes of all levels are kept in the DICOM JSON model (PS3.18 F.2), elements without a value left out.

DO $$
DECLARE
    chosen text;
BEGIN
    -- Case folding must not depend on the collation of the database: C folds ASCII alone.
    SELECT quote_ident(nspname) || '.' || quote_ident(collname) INTO chosen
    FROM pg_collation JOIN pg_namespace ON pg_namespace.oid = collnamespace
    WHERE collname IN ('pg_c_utf8', 'C.utf8', 'C.UTF-8', 'und-x-icu', 'en_US.utf8')
        AND collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
    ORDER BY array_position(
        ARRAY['pg_c_utf8', 'C.utf8', 'C.UTF-8', 'und-x-icu', 'en_US.utf8'], collname::text)
    LIMIT 1;
    EXECUTE format(
        'CREATE FUNCTION fold(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE '
        'RETURN lower(normalize(value, NFC) %s) COLLATE "C"',
        coalesce('COLLATE ' || chosen, ''));
END $$;
COMMENT ON FUNCTION fold IS 'a text as it is compared without case';

CREATE FUNCTION fold_name(name jsonb, component_group text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(rtrim(fold(name -> 'Value' -> 0 ->> component_group), '^ '), '');
COMMENT ON FUNCTION fold_name IS 'one component group of the first value of a PN element, as it is compared';

CREATE FUNCTION text_of(element jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(element -> 'Value' ->> 0, '');
COMMENT ON FUNCTION text_of IS 'the first value of an element';

CREATE FUNCTION date_of(element jsonb) RETURNS date
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    value text := replace(element -> 'Value' ->> 0, '.', '');
BEGIN
    IF value ~ '^[0-9]{8}$' AND value >= '00010101' THEN
        RETURN make_date(left(value, 4)::int, substr(value, 5, 2)::int, right(value, 2)::int);
    END IF;
    RETURN NULL;
EXCEPTION WHEN datetime_field_overflow THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION date_of IS 'a DA element (also the old YYYY.MM.DD); NULL when it is no date';

CREATE FUNCTION time_of(element jsonb) RETURNS time
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := regexp_match(
        replace(element -> 'Value' ->> 0, ':', ''),
        '^([01][0-9]|2[0-3])(?:([0-5][0-9])(?:([0-5][0-9]|60)(?:\.([0-9]{1,6}))?)?)?$');
BEGIN
    IF parts IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN make_time(parts[1]::int, coalesce(parts[2], '0')::int,
        (coalesce(least(parts[3], '59'), '0') || '.' || coalesce(parts[4], '0'))::float8);
END $$;
COMMENT ON FUNCTION time_of IS 'a TM element (also the old HH:MM:SS); a leap second is second 59; NULL when it is no time';

CREATE FUNCTION integer_of(element jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN element -> 'Value' ->> 0 ~ '^ *[+-]?[0-9]{1,9} *$'
    THEN trim(element -> 'Value' ->> 0)::integer END;
COMMENT ON FUNCTION integer_of IS 'an IS element; NULL when it is no number of nine digits';

CREATE TABLE schema_version (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE patient (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    issuer_of_patient_id text COLLATE "C" NOT NULL,
    patient_id text COLLATE "C" NOT NULL,
    attributes jsonb NOT NULL
);
COMMENT ON TABLE patient IS 'a patient as the first of its instances said; without a Patient ID there is one per study';
CREATE UNIQUE INDEX patient_identity ON patient (patient_id, issuer_of_patient_id) WHERE patient_id <> '';

CREATE TABLE study (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient bigint NOT NULL REFERENCES patient,
    study_instance_uid text COLLATE "C" NOT NULL,
    study_date date,
    study_time time,
    accession_number text COLLATE "C",
    study_id text COLLATE "C",
    patient_name text COLLATE "C",
    patient_name_ideographic text COLLATE "C",
    patient_name_phonetic text COLLATE "C",
    patient_birth_date date,
    patient_sex text COLLATE "C",
    patient_attributes jsonb,
    attributes jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE study IS 'a study as the first of its instances said, with the patient as that instance said';
COMMENT ON COLUMN study.patient_attributes IS 'only where they differ from those of the patient';
CREATE UNIQUE INDEX study_identity ON study (study_instance_uid);
CREATE INDEX study_by_patient ON study (patient);
CREATE INDEX study_by_date ON study (study_date DESC NULLS LAST, study_time DESC NULLS LAST, id DESC);
CREATE INDEX study_by_accession_number ON study (accession_number) WHERE accession_number IS NOT NULL;
CREATE INDEX study_by_study_id ON study (study_id) WHERE study_id IS NOT NULL;
CREATE INDEX study_by_patient_name ON study (patient_name) WHERE patient_name IS NOT NULL;
CREATE INDEX study_by_patient_name_ideographic ON study (patient_name_ideographic)
    WHERE patient_name_ideographic IS NOT NULL;
CREATE INDEX study_by_patient_name_phonetic ON study (patient_name_phonetic)
    WHERE patient_name_phonetic IS NOT NULL;
CREATE INDEX study_by_patient_birth_date ON study (patient_birth_date) WHERE patient_birth_date IS NOT NULL;

CREATE TABLE series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study bigint NOT NULL REFERENCES study,
    series_instance_uid text COLLATE "C" NOT NULL,
    modality text COLLATE "C",
    series_number integer,
    attributes jsonb NOT NULL
);
COMMENT ON TABLE series IS 'a series of a study as the first of its instances said';
CREATE UNIQUE INDEX series_identity ON series (series_instance_uid, study);
CREATE INDEX series_by_study ON series (study, modality);

CREATE TABLE instance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- partitioned: id bigint GENERATED ALWAYS AS IDENTITY,
    series bigint NOT NULL REFERENCES series,
    instance_number integer,
    number_of_frames integer NOT NULL,
    dataset_offset bigint NOT NULL,
    header_length bigint NOT NULL,
    pixel_offset bigint NOT NULL,
    pixel_length bigint NOT NULL,
    tail_offset bigint NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    sop_class_uid text COLLATE "C" NOT NULL,
    transfer_syntax_uid text COLLATE "C" NOT NULL,
    object_digest bytea NOT NULL,
    dataset_digest bytea NOT NULL,
    pixel_digest bytea,
    frames bytea,
    warnings text[],
    attributes jsonb NOT NULL
);  -- partitioned: ) PARTITION BY HASH (sop_instance_uid);
-- partitioned: CREATE INDEX instance_by_id ON instance (id);
COMMENT ON TABLE instance IS 'a stored instance; digests are the name of the algorithm, a colon and the raw digest';
CREATE UNIQUE INDEX instance_identity ON instance (sop_instance_uid);
CREATE INDEX instance_by_series ON instance (series, id);

CREATE TABLE conflict (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('content', 'patient_mismatch')),
    created_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    study_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    sop_class_uid text COLLATE "C" NOT NULL,
    transfer_syntax_uid text COLLATE "C" NOT NULL,
    issuer_of_patient_id text COLLATE "C" NOT NULL,
    patient_id text COLLATE "C" NOT NULL,
    number_of_frames integer NOT NULL,
    dataset_offset bigint NOT NULL,
    header_length bigint NOT NULL,
    pixel_offset bigint NOT NULL,
    pixel_length bigint NOT NULL,
    tail_offset bigint NOT NULL,
    object_digest bytea NOT NULL,
    dataset_digest bytea NOT NULL,
    pixel_digest bytea,
    frames bytea,
    warnings text[],
    attributes jsonb NOT NULL,
    door text NOT NULL,
    peer text NOT NULL,
    address text NOT NULL,
    correlation_id text NOT NULL
);
COMMENT ON TABLE conflict IS 'what waits for a person: other content under a known UID (kept whole), or a study under another patient';
CREATE UNIQUE INDEX conflict_content ON conflict (sop_instance_uid, dataset_digest, transfer_syntax_uid)
    WHERE kind = 'content';
CREATE UNIQUE INDEX conflict_patient ON conflict (study_instance_uid, patient_id, issuer_of_patient_id)
    WHERE kind = 'patient_mismatch';

CREATE TABLE location (
    instance bigint REFERENCES instance ON DELETE CASCADE,  -- partitioned: instance bigint,
    conflict bigint REFERENCES conflict ON DELETE CASCADE,
    "offset" bigint NOT NULL,
    length bigint NOT NULL,
    backend text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    CHECK (num_nonnulls(instance, conflict) = 1)
);  -- partitioned: ) PARTITION BY HASH (key);
COMMENT ON TABLE location IS 'where the bytes of an instance, or of a conflicting version of one, lie';
CREATE UNIQUE INDEX location_identity ON location (key, "offset", backend);
CREATE UNIQUE INDEX location_of_instance  -- partitioned: CREATE INDEX location_of_instance
    ON location (instance) WHERE instance IS NOT NULL;
CREATE UNIQUE INDEX location_of_conflict  -- partitioned: CREATE INDEX location_of_conflict
    ON location (conflict) WHERE conflict IS NOT NULL;

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- partitioned: id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    action text COLLATE "C" NOT NULL,
    door text NOT NULL,
    peer text NOT NULL,
    address text NOT NULL,
    correlation_id text NOT NULL,
    study_instance_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    detail jsonb
);  -- partitioned: ) PARTITION BY RANGE (at);
COMMENT ON TABLE audit IS 'who did what to which object; written, never changed';
CREATE INDEX audit_by_time ON audit USING brin (at);
CREATE INDEX audit_by_study ON audit (study_instance_uid) WHERE study_instance_uid <> '';

CREATE FUNCTION new_patient(new_issuer text, new_patient_id text, new_attributes jsonb) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO patient (issuer_of_patient_id, patient_id, attributes)
    VALUES (new_issuer, new_patient_id, new_attributes)
    ON CONFLICT (patient_id, issuer_of_patient_id) WHERE patient_id <> '' DO NOTHING
    RETURNING id
$$;
COMMENT ON FUNCTION new_patient IS 'the id of a new row; NULL when there is one already';

CREATE FUNCTION fill_patient(
    INOUT patient_key bigint, patient_issuer text, patient_number text, new_attributes jsonb,
    OUT differing jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    known jsonb;
BEGIN
    -- Finds or makes the patient of a new study. A patient row takes what it lacks from objects that agree with
    -- it in all else; another name or birth date under the same ID stays with the study (`differing`).
    IF patient_number = '' THEN
        patient_key := new_patient(patient_issuer, patient_number, new_attributes);
        RETURN;
    END IF;
    LOOP
        SELECT id, attributes INTO patient_key, known FROM patient
        WHERE patient_id = patient_number AND issuer_of_patient_id = patient_issuer;
        EXIT WHEN FOUND;
        patient_key := new_patient(patient_issuer, patient_number, new_attributes);
        IF patient_key IS NOT NULL THEN
            RETURN;
        END IF;
    END LOOP;
    IF known = new_attributes THEN
        RETURN;
    END IF;
    IF (known || new_attributes) - '00080005' <> (new_attributes || known) - '00080005' THEN
        differing := new_attributes;
    ELSIF NOT known @> (new_attributes - '00080005') THEN
        UPDATE patient SET attributes = new_attributes || attributes WHERE id = patient_key;
    END IF;
END $$;

CREATE FUNCTION new_study(
    new_study_uid text, new_issuer text, new_patient_id text, new_patient jsonb, new_attributes jsonb
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
        patient_attributes, attributes)
    VALUES (
        owner.patient_key, new_study_uid,
        date_of(new_attributes -> '00080020'), time_of(new_attributes -> '00080030'),
        text_of(new_attributes -> '00080050'), text_of(new_attributes -> '00200010'),
        fold_name(new_patient -> '00100010', 'Alphabetic'),
        fold_name(new_patient -> '00100010', 'Ideographic'),
        fold_name(new_patient -> '00100010', 'Phonetic'),
        date_of(new_patient -> '00100030'), text_of(new_patient -> '00100040'),
        owner.differing, new_attributes);
END $$;

CREATE FUNCTION fill_study(known study, new_patient jsonb, new_attributes jsonb) RETURNS void
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
        patient_sex = coalesce(study.patient_sex, text_of(new_patient -> '00100040'))
    FROM patient AS whole
    WHERE study.id = known.id AND whole.id = study.patient
$$;

CREATE FUNCTION moment_of(value text, in_utc boolean) RETURNS timestamp
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    parts text[] := regexp_match(value,
        '^([0-9]{4})([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?([0-9]{2})?(?:\.([0-9]{1,6}))?(?:([+-])([0-9]{2})([0-9]{2}))?$');
    offset_minutes integer := 0;
BEGIN
    IF in_utc AND parts[8] IS NOT NULL THEN
        offset_minutes := (parts[8] || '1')::integer * (parts[9]::integer * 60 + parts[10]::integer);
    END IF;
    RETURN make_timestamp(
        parts[1]::integer, coalesce(parts[2], '01')::integer, coalesce(parts[3], '01')::integer,
        coalesce(parts[4], '0')::integer, coalesce(parts[5], '0')::integer,
        (least(coalesce(parts[6], '0'), '59') || '.' || coalesce(parts[7], '0'))::float8)
        - make_interval(mins => offset_minutes);
EXCEPTION WHEN datetime_field_overflow THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION moment_of IS 'a DT value, its offset taken into account or left out; NULL when it is none';

CREATE FUNCTION clock_of(value text) RETURNS time LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN time_of(jsonb_build_object('Value', jsonb_build_array(value)));

CREATE FUNCTION keys_of(attributes jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT jsonb_object_keys(attributes));

CREATE FUNCTION register_instance(
    p_study_uid text, p_series_uid text, p_sop_uid text, p_class_uid text, p_syntax_uid text,
    p_issuer text, p_patient_id text,
    p_patient jsonb, p_study jsonb, p_series jsonb, p_instance jsonb,
    p_layout bigint[], p_frame_count integer, p_frames bytea,
    p_object_digest bytea, p_dataset_digest bytea, p_pixel_digest bytea, p_warnings text[],
    p_backend text, p_key text, p_offset bigint, p_length bigint,
    p_door text, p_peer text, p_address text, p_correlation_id text,
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
            PERFORM new_study(p_study_uid, p_issuer, p_patient_id, p_patient, p_study);
            has_created := true;
            CONTINUE;
        END IF;
        is_mismatch := known.is_mismatch;
        IF NOT known.is_full AND NOT is_mismatch THEN
            PERFORM fill_study(known.study, p_patient, p_study);
            has_created := true;
        END IF;
        IF known.series IS NULL THEN
            INSERT INTO series (study, series_instance_uid, modality, series_number, attributes)
            VALUES ((known.study).id, p_series_uid,
                text_of(p_series -> '00080060'), integer_of(p_series -> '00200011'), p_series)
            ON CONFLICT (series_instance_uid, study) DO NOTHING;
            has_created := true;
            CONTINUE;
        END IF;
        IF NOT known.series_is_full THEN
            UPDATE series SET
                attributes = p_series || attributes,
                modality = coalesce(modality, text_of(p_series -> '00080060')),
                series_number = coalesce(series_number, integer_of(p_series -> '00200011'))
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

CREATE FUNCTION new_conflict(
    p_kind text,
    p_study_uid text, p_series_uid text, p_sop_uid text, p_class_uid text, p_syntax_uid text,
    p_issuer text, p_patient_id text,
    p_patient jsonb, p_study jsonb, p_series jsonb, p_instance jsonb,
    p_layout bigint[], p_frame_count integer, p_frames bytea,
    p_object_digest bytea, p_dataset_digest bytea, p_pixel_digest bytea, p_warnings text[],
    p_door text, p_peer text, p_address text, p_correlation_id text,
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
            pixel_digest, frames, warnings, attributes, door, peer, address, correlation_id)
        VALUES (
            p_kind, p_study_uid, p_series_uid, p_sop_uid, p_class_uid,
            p_syntax_uid, p_issuer, p_patient_id, p_frame_count, p_layout[1],
            p_layout[2], p_layout[3], p_layout[4], p_layout[5], p_object_digest, p_dataset_digest,
            p_pixel_digest, p_frames, p_warnings,
            jsonb_build_object(
                'patient', p_patient, 'study', p_study, 'series', p_series, 'instance', p_instance),
            p_door, p_peer, p_address, p_correlation_id)
        ON CONFLICT DO NOTHING
        RETURNING conflict.id INTO new_conflict.id;
        EXIT WHEN FOUND;
    END LOOP;
END $$;
