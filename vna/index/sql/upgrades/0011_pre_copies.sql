-- Copies of stored objects in further backends.

CREATE TABLE copy (
    of_offset bigint NOT NULL,
    "offset" bigint NOT NULL DEFAULT 0,
    due_since timestamptz,
    next_attempt_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    of_key text COLLATE "C" NOT NULL,
    of_backend text COLLATE "C" NOT NULL,
    backend text COLLATE "C" NOT NULL,
    key text COLLATE "C",
    last_error text,
    PRIMARY KEY (of_key, of_offset, of_backend, backend),
    FOREIGN KEY (of_key, of_offset, of_backend) REFERENCES location (key, "offset", backend)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CHECK (key IS NOT NULL OR next_attempt_at IS NOT NULL)
);
COMMENT ON TABLE copy IS 'a further object with the bytes of a location; in the backend of the location itself: the location is to be written anew';
COMMENT ON COLUMN copy.key IS 'NULL: not written yet';
COMMENT ON COLUMN copy.next_attempt_at IS 'when whoever copies looks at it next, or until when somebody does it; NULL: nothing is to be done';
CREATE UNIQUE INDEX copy_identity ON copy (key, "offset", backend) WHERE key IS NOT NULL;
CREATE INDEX copy_due ON copy (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE FUNCTION add_copies(
    p_backend text, p_key text, p_offset bigint, p_copy_backends text[], p_copy_keys text[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO copy (of_backend, of_key, of_offset, backend, key, due_since, next_attempt_at)
    SELECT p_backend, p_key, p_offset, c.backend, nullif(c.key, ''),
        CASE c.key WHEN '' THEN now() END, CASE c.key WHEN '' THEN now() END
    FROM unnest(p_copy_backends, p_copy_keys) AS c (backend, key)
$$;
COMMENT ON FUNCTION add_copies IS 'the copies of a new location: those with a key are written, those with an empty one due';

-- With two more parameters that have defaults: callers of the versions before go on as they are. What new_study has not
-- made is not taken for made any more: whoever stored beside a delete was told to come again for nothing.
DROP FUNCTION register_instance(
    text, text, text, text, text, text, text, jsonb, jsonb, jsonb, jsonb, bigint[], integer, bytea, bytea, bytea, bytea,
    text[], text, text, bigint, bigint, text, text, text, text, jsonb, jsonb, bigint, jsonb);
DROP FUNCTION new_study(text, text, text, jsonb, jsonb, jsonb);

CREATE FUNCTION new_study(
    new_study_uid text, new_issuer text, new_patient_id text, new_patient jsonb, new_attributes jsonb,
    new_names jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    owner record;
BEGIN
    -- One at a time per study: otherwise the loser of a race would leave a patient without a study behind.
    PERFORM pg_advisory_xact_lock(hashtextextended(new_study_uid, 118));
    IF EXISTS (SELECT FROM study WHERE study_instance_uid = new_study_uid) THEN
        RETURN false;
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
    RETURN true;
END $$;
COMMENT ON FUNCTION new_study IS 'whether there is a new row; another call may have been faster';

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
    p_copy_backends text[] DEFAULT NULL, p_copy_keys text[] DEFAULT NULL,
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
            object_digest, dataset_digest, pixel_digest, frames, warnings, attributes, differences)
        VALUES (
            known.series, integer_of(p_instance -> '00200013'), p_frame_count, p_layout[1], p_layout[2],
            p_layout[3], p_layout[4], p_layout[5], p_sop_uid, p_class_uid, p_syntax_uid,
            CASE WHEN known.has_shared THEN short_digest(p_object_digest) ELSE p_object_digest END,
            CASE WHEN known.has_shared THEN short_digest(p_dataset_digest) ELSE p_dataset_digest END,
            CASE WHEN known.has_shared THEN short_digest(p_pixel_digest) ELSE p_pixel_digest END, p_frames, p_warnings,
            CASE WHEN p_differences IS NULL AND known.shared IS NULL THEN p_instance END,
            coalesce(p_differences, differences_of(p_instance, known.shared)))
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
            p_door, p_peer, p_address, p_correlation_id) AS c;
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

CREATE TABLE left_object (
    of_offset bigint NOT NULL,
    "offset" bigint NOT NULL,
    goes_at timestamptz NOT NULL,
    is_damaged boolean NOT NULL,
    of_key text COLLATE "C" NOT NULL,
    of_backend text COLLATE "C" NOT NULL,
    backend text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (key, "offset", backend),
    FOREIGN KEY (of_key, of_offset, of_backend) REFERENCES location (key, "offset", backend)
        ON UPDATE CASCADE ON DELETE CASCADE
);
COMMENT ON TABLE left_object IS 'an object whose place another one has taken: moved ones go after a while, damaged ones when a person says so';
COMMENT ON COLUMN left_object.goes_at IS 'when a moved one is removed: those who are reading it have had their time by then';
CREATE INDEX left_object_of_location ON left_object (of_key, of_offset, of_backend);
CREATE INDEX left_object_moved ON left_object (goes_at) WHERE NOT is_damaged;

CREATE VIEW stored_object AS
SELECT 'location' AS kind, backend, key, "offset", backend AS of_backend, key AS of_key, "offset" AS of_offset FROM location
UNION ALL
SELECT 'copy', backend, key, "offset", of_backend, of_key, of_offset FROM copy
UNION ALL
SELECT CASE WHEN is_damaged THEN 'damaged' ELSE 'moved' END, backend, key, "offset", of_backend, of_key, of_offset FROM left_object;
COMMENT ON VIEW stored_object IS 'every object that is known: as a location, a copy of one (without a key, a due one), or left behind by one; of_ names the location';

CREATE TABLE drain (
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    moved bigint NOT NULL DEFAULT 0,
    dropped bigint NOT NULL DEFAULT 0,
    size bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    grace integer NOT NULL,
    backend text COLLATE "C" PRIMARY KEY,
    target text COLLATE "C" NOT NULL,
    holder text NOT NULL DEFAULT '',
    last_error text NOT NULL DEFAULT ''
);
COMMENT ON TABLE drain IS 'backends that are being emptied, or were; whoever works on one holds the row for a while';
COMMENT ON COLUMN drain.target IS 'where everything goes; empty: where the rules of placement say';
COMMENT ON COLUMN drain.failed IS 'what could not be moved the last time it was tried';

ALTER TABLE verification ADD COLUMN of_backend text COLLATE "C" NOT NULL DEFAULT '';
COMMENT ON COLUMN verification.of_backend IS 'the one backend that it looks at; empty: all';

CREATE TABLE verification_part (
    verification bigint NOT NULL REFERENCES verification ON DELETE CASCADE,
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    objects bigint NOT NULL DEFAULT 0,
    size bigint NOT NULL DEFAULT 0,
    backend text COLLATE "C" NOT NULL,
    PRIMARY KEY (verification, backend)
);
COMMENT ON TABLE verification_part IS 'what a verification has seen of one backend';
CREATE INDEX verification_part_by_backend ON verification_part (backend, verification);

CREATE FUNCTION move_object(
    p_of_backend text, p_of_key text, p_of_offset bigint, p_backend text, p_key text, p_offset bigint,
    p_new_backend text, p_new_key text, p_new_offset bigint, p_is_damaged boolean
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    item bigint;
    due timestamptz := now() + make_interval(secs => coalesce(
        (SELECT d.grace FROM drain d WHERE d.backend = p_backend AND d.ended_at IS NULL), 900));
BEGIN
    -- What is being swept stays where it is: whoever sweeps has looked up already which objects go. The entry of the
    -- trash is locked before the location, as a sweep and a restore do.
    SELECT l.trash_item INTO item FROM location l
    WHERE l.key = p_of_key AND l."offset" = p_of_offset AND l.backend = p_of_backend;
    IF NOT FOUND THEN
        RETURN false;
    ELSIF item IS NOT NULL THEN
        PERFORM FROM trash_item t WHERE t.id = item AND t.sweep_began_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    PERFORM FROM location l
    WHERE l.key = p_of_key AND l."offset" = p_of_offset AND l.backend = p_of_backend
        AND l.trash_item IS NOT DISTINCT FROM item FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- What was to be written there is there now, unless somebody was faster, or the copy that is to take the place has
    -- been replaced itself.
    DELETE FROM copy c
    WHERE c.of_key = p_of_key AND c.of_offset = p_of_offset AND c.of_backend = p_of_backend
        AND c.backend = p_new_backend AND c.backend <> p_backend AND c.key IS NULL;
    IF EXISTS (
        SELECT FROM left_object o
        WHERE o.key = p_new_key AND o."offset" = p_new_offset AND o.backend = p_new_backend)
        OR EXISTS (
        SELECT FROM copy c
        WHERE c.of_key = p_of_key AND c.of_offset = p_of_offset AND c.of_backend = p_of_backend
            AND c.backend = p_new_backend AND c.backend <> p_backend
            AND (c.key, c."offset") <> (p_new_key, p_new_offset)) THEN
        RETURN false;
    END IF;
    IF p_key = p_of_key AND p_offset = p_of_offset AND p_backend = p_of_backend THEN
        -- With the location goes the doubt about it, and the row of the copy that becomes the location.
        DELETE FROM copy c
        WHERE c.of_key = p_of_key AND c.of_offset = p_of_offset AND c.of_backend = p_of_backend
            AND c.backend IN (p_backend, p_new_backend);
        UPDATE location SET backend = p_new_backend, key = p_new_key, "offset" = p_new_offset
        WHERE key = p_of_key AND "offset" = p_of_offset AND backend = p_of_backend;
        INSERT INTO left_object (backend, key, "offset", of_backend, of_key, of_offset, is_damaged, goes_at)
        VALUES (p_backend, p_key, p_offset, p_new_backend, p_new_key, p_new_offset, p_is_damaged, due)
        ON CONFLICT DO NOTHING;
        RETURN true;
    END IF;
    IF p_new_key IS NULL THEN
        DELETE FROM copy c
        WHERE c.of_key = p_of_key AND c.of_offset = p_of_offset AND c.of_backend = p_of_backend
            AND c.backend = p_backend AND c.key = p_key AND c."offset" = p_offset;
    ELSE
        UPDATE copy c SET backend = p_new_backend, key = p_new_key, "offset" = p_new_offset,
            due_since = NULL, next_attempt_at = NULL, attempts = 0, last_error = NULL
        WHERE c.of_key = p_of_key AND c.of_offset = p_of_offset AND c.of_backend = p_of_backend
            AND c.backend = p_backend AND c.key = p_key AND c."offset" = p_offset;
    END IF;
    IF FOUND THEN
        INSERT INTO left_object (backend, key, "offset", of_backend, of_key, of_offset, is_damaged, goes_at)
        VALUES (p_backend, p_key, p_offset, p_of_backend, p_of_key, p_of_offset, p_is_damaged, due)
        ON CONFLICT DO NOTHING;
        RETURN true;
    END IF;
    RETURN false;
END $$;
COMMENT ON FUNCTION move_object IS 'lets another object (without a new key, none) take the place of a location''s or of a copy''s, which is left behind; false: it has changed since';
