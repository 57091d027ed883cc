-- Deletion into a trash, the change feed, and hints of known series that outlive a deletion.

CREATE TABLE trash (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    study_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    door text NOT NULL,
    peer text NOT NULL,
    address text NOT NULL,
    correlation_id text NOT NULL,
    name_scheme text COLLATE "C",
    patient jsonb NOT NULL,
    study jsonb NOT NULL,
    series jsonb NOT NULL
);
COMMENT ON TABLE trash IS 'what one request deleted, and by whom; patient, study and series (by their ids) are the rows as they were';
COMMENT ON COLUMN trash.sop_instance_uid IS 'the UIDs that the request named; empty below the level that it deleted';
CREATE INDEX trash_by_study ON trash (study_instance_uid);

CREATE TABLE trash_item (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trash bigint NOT NULL REFERENCES trash,
    row_id bigint NOT NULL,
    sweep_began_at timestamptz,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('instance', 'conflict')),
    sop_instance_uid text COLLATE "C" NOT NULL,
    description jsonb NOT NULL
);
COMMENT ON TABLE trash_item IS 'an instance, or a conflict about one, in the trash: its row as it was; once its sweep began it can''t be restored';
CREATE INDEX trash_item_by_trash ON trash_item (trash, id);

ALTER TABLE location
    ADD COLUMN trash_item bigint REFERENCES trash_item ON DELETE CASCADE,
    DROP CONSTRAINT location_check;
ALTER TABLE location ADD CONSTRAINT location_check CHECK (num_nonnulls(instance, conflict, trash_item) = 1);
COMMENT ON TABLE location IS 'where the bytes of an instance, of a conflicting version of one, or of what is in the trash, lie';
CREATE UNIQUE INDEX location_of_trash_item  -- partitioned: CREATE INDEX location_of_trash_item
    ON location (trash_item) WHERE trash_item IS NOT NULL;

CREATE TABLE change (
    number bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    action text COLLATE "C" NOT NULL CHECK (action IN ('stored', 'deleted', 'restored')),
    study_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL
);  -- partitioned: ) PARTITION BY RANGE (number);
COMMENT ON TABLE change IS 'what came and went, numbered without gaps in an order in which no later commit gets a lower number';

CREATE TABLE change_waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    action text COLLATE "C" NOT NULL,
    study_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL
);
COMMENT ON TABLE change_waiting IS 'changes, written in the transaction that made them; whoever reads first numbers those that are committed';

-- Whoever reads the changes from the beginning gets what was stored before there were any, too.
INSERT INTO change (number, at, action, study_instance_uid, series_instance_uid, sop_instance_uid)
SELECT row_number() OVER (ORDER BY i.id), s.created_at, 'stored', s.study_instance_uid, e.series_instance_uid,
    i.sop_instance_uid
FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
ORDER BY i.id;

DROP FUNCTION register_instance(
    text, text, text, text, text, text, text, jsonb, jsonb, jsonb, jsonb, bigint[], integer, bytea, bytea, bytea,
    bytea, text[], text, text, bigint, bigint, text, text, text, text, jsonb, jsonb);
CREATE FUNCTION register_instance(
    p_study_uid text, p_series_uid text, p_sop_uid text, p_class_uid text, p_syntax_uid text,
    p_issuer text, p_patient_id text,
    p_patient jsonb, p_study jsonb, p_series jsonb, p_instance jsonb,
    p_layout bigint[], p_frame_count integer, p_frames bytea,
    p_object_digest bytea, p_dataset_digest bytea, p_pixel_digest bytea, p_warnings text[],
    p_backend text, p_key text, p_offset bigint, p_length bigint,
    p_door text, p_peer text, p_address text, p_correlation_id text,
    p_study_names jsonb DEFAULT NULL, p_series_names jsonb DEFAULT NULL, p_known_series bigint DEFAULT NULL,
    OUT outcome text, OUT location_is_kept boolean, OUT conflict_id bigint, OUT is_mismatch boolean,
    OUT series_key bigint
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
    is_mismatch := false;
    LOOP
        SELECT i.id, i.series, i.dataset_digest, i.transfer_syntax_uid,
            l.key = p_key AND l."offset" = p_offset AS is_ours INTO known
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
                PERFORM FROM instance i WHERE i.id = known.id FOR KEY SHARE;
                CONTINUE WHEN NOT FOUND;  -- it was deleted meanwhile
                outcome := 'conflict';
            ELSIF known.is_ours THEN  -- the same call again, after a commit that was never confirmed
                outcome := 'stored';
                location_is_kept := true;
                series_key := known.series;
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
        IF p_study IS NULL AND (NOT FOUND OR known.series IS DISTINCT FROM p_known_series OR known.is_mismatch) THEN
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
            INSERT INTO change_waiting (action, study_instance_uid, series_instance_uid, sop_instance_uid)
            VALUES ('stored', p_study_uid, p_series_uid, p_sop_uid);
            outcome := 'stored';
            location_is_kept := true;
            series_key := known.series;
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

CREATE FUNCTION number_changes(at_most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    numbered bigint;
BEGIN
    -- One at a time, in a statement of its own: the next one sees what the one before has numbered.
    PERFORM pg_advisory_xact_lock(7695457, 31);
    WITH moved AS (
        DELETE FROM change_waiting
        WHERE id IN (SELECT w.id FROM change_waiting w ORDER BY w.id LIMIT at_most)
        RETURNING *
    )
    INSERT INTO change (number, at, action, study_instance_uid, series_instance_uid, sop_instance_uid)
    SELECT (SELECT coalesce(max(c.number), 0) FROM change c) + row_number() OVER (ORDER BY m.id),
        m.at, m.action, m.study_instance_uid, m.series_instance_uid, m.sop_instance_uid
    FROM moved m ORDER BY m.id;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    RETURN numbered;
END $$;
COMMENT ON FUNCTION number_changes IS 'gives committed changes their numbers, the oldest first; how many there were';

CREATE FUNCTION move_to_trash(p_trash bigint, instance_keys bigint[], conflict_keys bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH item AS (
        INSERT INTO trash_item (trash, row_id, kind, sop_instance_uid, description)
        SELECT p_trash, i.id, 'instance', i.sop_instance_uid, to_jsonb(i)
        FROM instance i WHERE i.id = ANY(instance_keys) ORDER BY i.id
        RETURNING id, row_id
    )
    UPDATE location l SET instance = NULL, trash_item = item.id FROM item WHERE l.instance = item.row_id;
    WITH item AS (
        INSERT INTO trash_item (trash, row_id, kind, sop_instance_uid, description)
        SELECT p_trash, c.id, 'conflict', c.sop_instance_uid, to_jsonb(c)
        FROM conflict c WHERE c.id = ANY(conflict_keys) ORDER BY c.id
        RETURNING id, row_id
    )
    UPDATE location l SET conflict = NULL, trash_item = item.id FROM item WHERE l.conflict = item.row_id;
    INSERT INTO change_waiting (action, study_instance_uid, series_instance_uid, sop_instance_uid)
    SELECT 'deleted', s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid
    FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
    WHERE i.id = ANY(instance_keys) ORDER BY i.id;
    DELETE FROM conflict WHERE id = ANY(conflict_keys);
    DELETE FROM instance WHERE id = ANY(instance_keys);
END $$;
COMMENT ON FUNCTION move_to_trash IS 'moves locked rows with their locations into the trash';

CREATE FUNCTION remove_empty(patient_key bigint, study_key bigint, series_keys bigint[]) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    -- The caller has locked all of them, so that nothing comes into them meanwhile.
    DELETE FROM series e WHERE e.id = ANY(series_keys)
        AND NOT EXISTS (SELECT FROM instance i WHERE i.series = e.id);
    DELETE FROM study s WHERE s.id = study_key AND NOT EXISTS (SELECT FROM series e WHERE e.study = s.id);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM patient p WHERE p.id = patient_key AND NOT EXISTS (SELECT FROM study s WHERE s.patient = p.id);
    RETURN true;
END $$;
COMMENT ON FUNCTION remove_empty IS 'removes what has nothing below it any more; whether the study was removed';

CREATE FUNCTION delete_instances(
    p_study_uid text, p_series_uid text, p_sop_uid text,
    p_door text, p_peer text, p_address text, p_correlation_id text,
    OUT trash_id bigint, OUT instances bigint
) LANGUAGE plpgsql AS $$
DECLARE
    patient_key bigint;
    study_key bigint;
    series_keys bigint[];
    instance_keys bigint[];
    conflict_keys bigint[];
BEGIN
    -- Locks in the order that register_instance keeps: study (advisory), patient, study, series, then the rows below
    -- (location before instance, as a healed object takes them). Whoever stores into a locked series waits, finds its
    -- series gone, and registers anew.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_study_uid, 118));
    SELECT p.id INTO patient_key FROM patient p JOIN study s ON s.patient = p.id
    WHERE s.study_instance_uid = p_study_uid FOR UPDATE OF p;
    SELECT s.id INTO study_key FROM study s WHERE s.study_instance_uid = p_study_uid FOR UPDATE;
    series_keys := ARRAY(
        SELECT e.id FROM series e
        WHERE e.study = study_key AND p_series_uid IN ('', e.series_instance_uid) ORDER BY e.id FOR UPDATE);
    PERFORM FROM location l JOIN instance i ON i.id = l.instance
    WHERE i.series = ANY(series_keys) AND p_sop_uid IN ('', i.sop_instance_uid) ORDER BY i.id FOR UPDATE OF l;
    instance_keys := ARRAY(
        SELECT i.id FROM instance i
        WHERE i.series = ANY(series_keys) AND p_sop_uid IN ('', i.sop_instance_uid) ORDER BY i.id FOR UPDATE);
    instances := cardinality(instance_keys);
    IF instances = 0 THEN
        -- The same call again, after a commit that was never confirmed, or there is nothing.
        SELECT t.id, count(*) INTO trash_id, instances FROM trash t JOIN trash_item i ON i.trash = t.id
        WHERE t.study_instance_uid = p_study_uid AND t.series_instance_uid = p_series_uid
            AND t.sop_instance_uid = p_sop_uid AND t.correlation_id = p_correlation_id AND p_correlation_id <> ''
            AND t.deleted_at > now() - interval '1 minute' AND i.kind = 'instance'
        GROUP BY t.id ORDER BY t.id DESC LIMIT 1;
        RETURN;
    END IF;

    INSERT INTO trash (study_instance_uid, series_instance_uid, sop_instance_uid, door, peer, address,
        correlation_id, name_scheme, patient, study, series)
    SELECT p_study_uid, p_series_uid, p_sop_uid, p_door, p_peer, p_address, p_correlation_id,
        (SELECT scheme FROM person_name_scheme), to_jsonb(p), to_jsonb(s),
        (SELECT jsonb_object_agg(e.id, to_jsonb(e)) FROM series e WHERE e.id = ANY(series_keys))
    FROM study s JOIN patient p ON p.id = s.patient WHERE s.id = study_key
    RETURNING id INTO trash_id;
    PERFORM FROM location l JOIN conflict c ON c.id = l.conflict JOIN instance i ON i.sop_instance_uid = c.sop_instance_uid
    WHERE i.id = ANY(instance_keys) AND c.kind = 'content' ORDER BY c.id FOR UPDATE OF l;
    conflict_keys := ARRAY(
        SELECT c.id FROM conflict c JOIN instance i ON i.sop_instance_uid = c.sop_instance_uid
        WHERE i.id = ANY(instance_keys) AND c.kind = 'content' ORDER BY c.id FOR UPDATE OF c);
    PERFORM move_to_trash(trash_id, instance_keys, conflict_keys);
    IF remove_empty(patient_key, study_key, series_keys) THEN
        conflict_keys := ARRAY(
            SELECT c.id FROM conflict c
            WHERE c.kind = 'patient_mismatch' AND c.study_instance_uid = p_study_uid ORDER BY c.id FOR UPDATE);
        PERFORM move_to_trash(trash_id, '{}', conflict_keys);
    END IF;
    INSERT INTO audit (
        action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
    VALUES ('instances.deleted', p_door, p_peer, p_address, p_correlation_id, p_study_uid, p_sop_uid,
        jsonb_build_object('trash', trash_id, 'instances', instances)
        || CASE WHEN p_series_uid = '' THEN '{}' ELSE jsonb_build_object('series', p_series_uid) END);
END $$;
COMMENT ON FUNCTION delete_instances IS 'moves a study, series or instance into the trash, in one transaction; no trash_id: there is none';

CREATE FUNCTION restore_study(entry trash, OUT patient_key bigint, OUT study_key bigint, OUT is_mismatch boolean)
LANGUAGE plpgsql AS $$
DECLARE
    old_patient patient := jsonb_populate_record(NULL::patient, entry.patient);
    old_study study := jsonb_populate_record(NULL::study, entry.study);
    said jsonb := coalesce(old_study.patient_attributes, old_patient.attributes);
    known record;
BEGIN
    -- The rows as they were where they are gone; where they are there (again), what they lack, as a store would add.
    is_mismatch := false;
    SELECT s AS study, p.id AS patient, p.patient_id, p.issuer_of_patient_id,
        coalesce(s.patient_attributes, p.attributes) ?& keys_of(said)
            AND s.attributes ?& keys_of(old_study.attributes) AS is_full
    INTO known FROM study s JOIN patient p ON p.id = s.patient
    WHERE s.study_instance_uid = entry.study_instance_uid;
    IF FOUND THEN
        patient_key := known.patient;
        study_key := (known.study).id;
        is_mismatch := known.patient_id <> old_patient.patient_id
            OR known.issuer_of_patient_id <> old_patient.issuer_of_patient_id;
        IF NOT known.is_full AND NOT is_mismatch THEN
            PERFORM fill_study(known.study, said, old_study.attributes, NULL);
        END IF;
        RETURN;
    END IF;
    INSERT INTO patient OVERRIDING SYSTEM VALUE SELECT old_patient.* ON CONFLICT DO NOTHING
    RETURNING id INTO patient_key;
    IF NOT FOUND THEN
        SELECT f.patient_key, f.differing INTO patient_key, old_study.patient_attributes
        FROM fill_patient(NULL, old_patient.issuer_of_patient_id, old_patient.patient_id, said) AS f;
    END IF;
    old_study.patient := patient_key;
    IF entry.name_scheme IS DISTINCT FROM (SELECT scheme FROM person_name_scheme) THEN
        old_study.person_names := NULL;
    END IF;
    INSERT INTO study OVERRIDING SYSTEM VALUE SELECT old_study.*;
    study_key := old_study.id;
END $$;
COMMENT ON FUNCTION restore_study IS 'the study and the patient of a trash entry, there again; their names may have to be made anew';

CREATE FUNCTION restore_series(entry trash, series_id bigint, study_key bigint, OUT series_key bigint)
LANGUAGE plpgsql AS $$
DECLARE
    old_series series := jsonb_populate_record(NULL::series, entry.series -> series_id::text);
BEGIN
    old_series.study := study_key;
    IF entry.name_scheme IS DISTINCT FROM (SELECT scheme FROM person_name_scheme) THEN
        old_series.person_names := NULL;
    END IF;
    LOOP
        UPDATE series SET
            attributes = old_series.attributes || attributes,
            modality = coalesce(modality, old_series.modality),
            series_number = coalesce(series_number, old_series.series_number),
            person_names = CASE WHEN attributes ?& keys_of(old_series.attributes) THEN person_names END
        WHERE series_instance_uid = old_series.series_instance_uid AND study = study_key
        RETURNING id INTO series_key;
        EXIT WHEN FOUND;
        INSERT INTO series OVERRIDING SYSTEM VALUE SELECT old_series.*
        ON CONFLICT (series_instance_uid, study) DO NOTHING RETURNING id INTO series_key;
        EXIT WHEN FOUND;
    END LOOP;
END $$;
COMMENT ON FUNCTION restore_series IS 'a series of a trash entry, there again';

CREATE FUNCTION restore_instance(entry trash, item trash_item, series_key bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    was instance := jsonb_populate_record(NULL::instance, item.description);
    visible record;
    made record;
BEGIN
    -- As a store would: the same again is a duplicate and stays in the trash, other content a conflict. The id is a new
    -- one, since what was made of a series is known by how many instances it has and the highest id among them.
    was.id := nextval(pg_get_serial_sequence('instance', 'id'));
    was.series := series_key;
    LOOP
        INSERT INTO instance OVERRIDING SYSTEM VALUE SELECT was.* ON CONFLICT (sop_instance_uid) DO NOTHING;
        IF FOUND THEN
            UPDATE location SET trash_item = NULL, instance = was.id WHERE location.trash_item = item.id;
            INSERT INTO change_waiting (action, study_instance_uid, series_instance_uid, sop_instance_uid)
            SELECT 'restored', entry.study_instance_uid, e.series_instance_uid, was.sop_instance_uid
            FROM series e WHERE e.id = series_key;
            RETURN 'restored';
        END IF;
        SELECT i.dataset_digest, i.transfer_syntax_uid INTO visible FROM instance i
        WHERE i.sop_instance_uid = was.sop_instance_uid FOR KEY SHARE;
        EXIT WHEN FOUND;
    END LOOP;
    IF visible.dataset_digest = was.dataset_digest AND visible.transfer_syntax_uid = was.transfer_syntax_uid THEN
        RETURN 'duplicate';
    END IF;
    SELECT c.id, c.is_new INTO made FROM restore_conflict(entry, item, was, 'content') AS c;
    IF NOT made.is_new THEN
        RETURN 'duplicate';
    END IF;
    UPDATE location SET trash_item = NULL, conflict = made.id WHERE location.trash_item = item.id;
    RETURN 'conflict';
END $$;
COMMENT ON FUNCTION restore_instance IS 'restored, duplicate (it stays in the trash) or conflict';

CREATE FUNCTION restore_conflict(entry trash, item trash_item, was instance, kind text, OUT id bigint, OUT is_new boolean)
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
        entry.door, entry.peer, entry.address, entry.correlation_id) AS c
$$;
COMMENT ON FUNCTION restore_conflict IS 'a conflict that a restored instance makes, told of whoever deleted it';

CREATE FUNCTION restore_known_conflict(item trash_item) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    was conflict := jsonb_populate_record(NULL::conflict, item.description);
BEGIN
    IF was.kind = 'content' AND EXISTS (
        SELECT FROM instance i WHERE i.sop_instance_uid = was.sop_instance_uid
            AND i.dataset_digest = was.dataset_digest AND i.transfer_syntax_uid = was.transfer_syntax_uid) THEN
        RETURN false;
    END IF;
    INSERT INTO conflict OVERRIDING SYSTEM VALUE SELECT was.* ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE location SET trash_item = NULL, conflict = was.id WHERE location.trash_item = item.id;
    RETURN true;
END $$;
COMMENT ON FUNCTION restore_known_conflict IS 'lists a conflict of the trash again; false: its version is kept already';

CREATE FUNCTION restore_trash(
    p_trash bigint, p_door text, p_peer text, p_address text, p_correlation_id text,
    OUT restored bigint, OUT duplicates bigint, OUT conflicts bigint
) LANGUAGE plpgsql AS $$
DECLARE
    entry trash;
    item trash_item;
    place record;
    series_keys jsonb := '{}';
    outcome text;
BEGIN
    -- Locks in the order of delete_instances. What a sweep has begun with stays where it is.
    PERFORM pg_advisory_xact_lock(hashtextextended(t.study_instance_uid, 118)) FROM trash t WHERE t.id = p_trash;
    SELECT t.* INTO entry FROM trash t WHERE t.id = p_trash FOR UPDATE;
    IF NOT FOUND OR NOT EXISTS (
        SELECT FROM trash_item i WHERE i.trash = p_trash AND i.kind = 'instance' AND i.sweep_began_at IS NULL) THEN
        RETURN;
    END IF;
    restored := 0;
    duplicates := 0;
    conflicts := 0;
    SELECT * INTO place FROM restore_study(entry);
    FOR item IN
        SELECT i.* FROM trash_item i WHERE i.trash = p_trash AND i.kind = 'instance' AND i.sweep_began_at IS NULL
        ORDER BY i.id FOR UPDATE
    LOOP
        IF NOT series_keys ? (item.description ->> 'series') THEN
            series_keys := series_keys || jsonb_build_object(item.description ->> 'series',
                restore_series(entry, (item.description ->> 'series')::bigint, place.study_key));
        END IF;
        outcome := restore_instance(entry, item, (series_keys -> (item.description ->> 'series'))::bigint);
        CASE outcome
            WHEN 'restored' THEN restored := restored + 1;
            WHEN 'conflict' THEN conflicts := conflicts + 1;
            ELSE duplicates := duplicates + 1;
        END CASE;
        IF outcome <> 'duplicate' THEN
            DELETE FROM trash_item i WHERE i.id = item.id;
        END IF;
        IF outcome = 'restored' AND place.is_mismatch THEN
            PERFORM restore_conflict(
                entry, item, jsonb_populate_record(NULL::instance, item.description), 'patient_mismatch');
        END IF;
    END LOOP;
    FOR item IN
        SELECT i.* FROM trash_item i WHERE i.trash = p_trash AND i.kind = 'conflict' AND i.sweep_began_at IS NULL
        ORDER BY i.id FOR UPDATE
    LOOP
        IF restore_known_conflict(item) THEN
            DELETE FROM trash_item i WHERE i.id = item.id;
        END IF;
    END LOOP;
    PERFORM remove_empty(place.patient_key, place.study_key,
        ARRAY(SELECT value::bigint FROM jsonb_each_text(series_keys)));
    DELETE FROM trash t WHERE t.id = p_trash AND NOT EXISTS (SELECT FROM trash_item i WHERE i.trash = t.id);
    INSERT INTO audit (
        action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
    VALUES ('instances.restored', p_door, p_peer, p_address, p_correlation_id, entry.study_instance_uid,
        entry.sop_instance_uid, jsonb_build_object(
            'trash', p_trash, 'restored', restored, 'duplicates', duplicates, 'conflicts', conflicts));
END $$;
COMMENT ON FUNCTION restore_trash IS 'makes what a request deleted visible again, in one transaction; NULL: there is nothing to restore';
