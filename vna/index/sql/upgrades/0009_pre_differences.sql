-- Instances as differences from what their series shares, slim rows of audit trail and changes. The statements of the
-- version before work on all of it; what it could not read is written only after 0010_post_short_rows.

-- First of all what whoever stores begins with: nobody is in the middle of it then.
LOCK TABLE instance, location, patient, study, series, conflict, audit, change, change_waiting, trash, trash_item
    IN ACCESS EXCLUSIVE MODE;

CREATE FUNCTION packed_uid(uid text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN translate(uid, '0123456789.', '') = ''
    THEN decode(translate(uid, '.', 'a') || repeat('f', length(uid) % 2), 'hex')
    ELSE '\xff'::bytea || convert_to(uid, 'UTF8') END;
COMMENT ON FUNCTION packed_uid IS 'a UID in half of its length: a digit or dot in four bits; an odd one as it is, behind FF';

CREATE FUNCTION uid_of(packed bytea) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN substring(packed FOR 1) = '\xff'
    THEN convert_from(substring(packed FROM 2), 'UTF8')
    ELSE rtrim(translate(encode(packed, 'hex'), 'a', '.'), 'f') END;
COMMENT ON FUNCTION uid_of IS 'the UID that packed_uid has packed';

CREATE FUNCTION short_digest(digest bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN substring(digest FOR 7) = 'blake3:' THEN '\x01' || substring(digest FROM 8)
    WHEN substring(digest FOR 18) = 'blake3-pixel-tree:' THEN '\x02' || substring(digest FROM 19)
    ELSE digest END;
COMMENT ON FUNCTION short_digest IS 'a digest with its algorithm as one byte';

CREATE FUNCTION long_digest(digest bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE substring(digest FOR 1)
    WHEN '\x01' THEN 'blake3:' || substring(digest FROM 2)
    WHEN '\x02' THEN 'blake3-pixel-tree:' || substring(digest FROM 2)
    ELSE digest END;
COMMENT ON FUNCTION long_digest IS 'a digest with the name of its algorithm and a colon, however it is kept';

CREATE FUNCTION differences_of(attributes jsonb, shared jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT coalesce(jsonb_object_agg(key, CASE
        WHEN mine IS NULL THEN 'null'
        WHEN other IS NULL OR jsonb_typeof(mine -> 'Value') IS DISTINCT FROM 'array'
            OR mine <> jsonb_build_object('vr', other -> 'vr', 'Value', mine -> 'Value') THEN mine
        WHEN jsonb_array_length(mine -> 'Value') = 1 AND jsonb_typeof(mine -> 'Value' -> 0) IN ('string', 'number')
            THEN mine -> 'Value' -> 0
        ELSE mine -> 'Value' END), '{}')
    FROM jsonb_each(attributes) AS a (key, mine) FULL JOIN jsonb_each(shared) AS b (key, other) USING (key)
    WHERE mine::text IS DISTINCT FROM other::text
        AND (key <> '00200013' OR mine::text !~ '^{"vr": "IS", "Value": \[-?[0-9]{1,9}\]}$'));
COMMENT ON FUNCTION differences_of IS 'attributes as they differ from shared: null for none, other values of the same VR without it, and without their array where there is one text or number; else the element. An Instance Number as its column has it is none';

CREATE FUNCTION instance_number_element(number integer) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN number IS NOT NULL THEN jsonb_build_object('vr', 'IS', 'Value', jsonb_build_array(number)) END;

CREATE FUNCTION attributes_of(attributes jsonb, differences jsonb, shared jsonb, instance_number integer) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE WHEN differences IS NULL THEN attributes ELSE (
    SELECT CASE WHEN instance_number IS NULL THEN '{}'
        ELSE jsonb_build_object('00200013', instance_number_element(instance_number)) END
        || (shared - coalesce(array_agg(key) FILTER (WHERE value = 'null'), '{}'))
        || coalesce(jsonb_object_agg(key, CASE jsonb_typeof(value)
            WHEN 'object' THEN value
            WHEN 'array' THEN jsonb_build_object('vr', shared -> key -> 'vr', 'Value', value)
            ELSE jsonb_build_object('vr', shared -> key -> 'vr', 'Value', jsonb_build_array(value)) END)
            FILTER (WHERE value <> 'null'), '{}')
    FROM jsonb_each(differences)) END;
COMMENT ON FUNCTION attributes_of IS 'the attributes of an instance, whichever way they are kept: the inverse of differences_of';

CREATE FUNCTION element_of(attributes jsonb, differences jsonb, shared jsonb, instance_number integer, key text)
RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN differences IS NULL THEN attributes -> key
    WHEN NOT differences ? key THEN
        CASE WHEN key = '00200013' THEN instance_number_element(instance_number) ELSE shared -> key END
    ELSE CASE jsonb_typeof(differences -> key)
        WHEN 'null' THEN NULL
        WHEN 'object' THEN differences -> key
        WHEN 'array' THEN jsonb_build_object('vr', shared -> key -> 'vr', 'Value', differences -> key)
        ELSE jsonb_build_object('vr', shared -> key -> 'vr', 'Value', jsonb_build_array(differences -> key)) END END;
COMMENT ON FUNCTION element_of IS 'one element of attributes_of; small enough to be a part of the query that calls it';

CREATE TABLE oldest_reader (
    version integer NOT NULL,
    rewritten_to bigint NOT NULL DEFAULT 0,
    rewrite_to bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE oldest_reader IS 'one row: the lowest version of the schema that archives which serve know: what others could not read may be written';
COMMENT ON COLUMN oldest_reader.rewritten_to IS 'instances of series up to this id, of those up to rewrite_to, are no more as others wrote them';
INSERT INTO oldest_reader (version) VALUES (8);

ALTER TABLE series ADD COLUMN shared jsonb;
COMMENT ON COLUMN series.shared IS 'the attributes of one of its instances, of which others keep the differences; never changed. NULL: all are kept whole';

CREATE TABLE series_gone (
    series bigint PRIMARY KEY,
    study_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL
);
COMMENT ON TABLE series_gone IS 'series that were deleted, for the changes that name them by their id; one of them may be back';

CREATE FUNCTION remember_series() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO series_gone (series, study_instance_uid, series_instance_uid)
    SELECT OLD.id, s.study_instance_uid, OLD.series_instance_uid FROM study s WHERE s.id = OLD.study
    ON CONFLICT (series) DO NOTHING;
    RETURN OLD;
END $$;
CREATE TRIGGER series_is_remembered BEFORE DELETE ON series FOR EACH ROW
    WHEN (OLD.shared IS NOT NULL) EXECUTE FUNCTION remember_series();

ALTER TABLE instance ALTER COLUMN attributes DROP NOT NULL;
ALTER TABLE instance ADD COLUMN differences jsonb;
-- Looked through by the upgrade that ends this one's time: that reads the whole table.
ALTER TABLE instance ADD CHECK (num_nonnulls(attributes, differences) = 1) NOT VALID;
COMMENT ON TABLE instance IS 'a stored instance; digests are the name of the algorithm, a colon and the raw digest, or shorter (short_digest)';
COMMENT ON COLUMN instance.attributes IS 'all that is kept; NULL where differences stand';
COMMENT ON COLUMN instance.differences IS 'what differs from the attributes that its series shares, as differences_of makes it';

ALTER TABLE audit RENAME TO audit_line;
ALTER SEQUENCE audit_id_seq RENAME TO audit_line_id_seq;
COMMENT ON TABLE audit_line IS 'lines of the audit trail that stand alone; written, never changed';

DO $$
DECLARE
    named record;
BEGIN
    FOR named IN SELECT conname FROM pg_constraint WHERE conrelid = 'audit_line'::regclass AND conname LIKE 'audit\_%' LOOP
        EXECUTE format('ALTER TABLE audit_line RENAME CONSTRAINT %I TO %I',
            named.conname, replace(named.conname, 'audit_', 'audit_line_'));
    END LOOP;
    FOR named IN SELECT inhrelid::regclass::text AS partition FROM pg_inherits WHERE inhparent = 'audit_line'::regclass LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', named.partition, replace(named.partition, 'audit_', 'audit_line_'));
    END LOOP;
END $$;

CREATE TABLE audit_occasion (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action text COLLATE "C" NOT NULL,
    door text NOT NULL,
    peer text NOT NULL,
    address text NOT NULL,
    correlation_id text NOT NULL,
    study_instance_uid text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit_occasion IS 'what the audit trail tells of many instances alike, such as those that an association stored into a study';
CREATE INDEX audit_occasion_by_study ON audit_occasion (study_instance_uid, correlation_id);

CREATE TABLE audit_instance (
    id bigint NOT NULL DEFAULT nextval('audit_line_id_seq'),
    at timestamptz NOT NULL DEFAULT now(),
    occasion bigint NOT NULL,
    uid bytea NOT NULL
);  -- partitioned: ) PARTITION BY RANGE (at);
COMMENT ON TABLE audit_instance IS 'lines of the audit trail about one instance each (packed_uid), told by their occasion; written, never changed';
CREATE INDEX audit_instance_by_time ON audit_instance USING brin (at);
CREATE INDEX audit_instance_by_occasion ON audit_instance (occasion);

CREATE FUNCTION new_occasion(
    p_action text, p_door text, p_peer text, p_address text, p_correlation_id text, p_study_uid text
) RETURNS bigint LANGUAGE sql AS $$
    -- Two that come at once may make two, which does no harm.
    INSERT INTO audit_occasion (action, door, peer, address, correlation_id, study_instance_uid)
    VALUES (p_action, p_door, p_peer, p_address, p_correlation_id, p_study_uid)
    RETURNING id
$$;
COMMENT ON FUNCTION new_occasion IS 'the id of a new row of audit_occasion';

CREATE VIEW audit AS
SELECT id, at, action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail
FROM audit_line
UNION ALL
SELECT i.id, i.at, o.action, o.door, o.peer, o.address, o.correlation_id, o.study_instance_uid, uid_of(i.uid), NULL
FROM audit_instance i JOIN audit_occasion o ON o.id = i.occasion;
COMMENT ON VIEW audit IS 'who did what to which object; written, never changed';

CREATE FUNCTION write_audit_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_line (
        at, action, door, peer, address, correlation_id, study_instance_uid, sop_instance_uid, detail)
    VALUES (coalesce(NEW.at, now()), NEW.action, NEW.door, NEW.peer, NEW.address, NEW.correlation_id,
        NEW.study_instance_uid, NEW.sop_instance_uid, NEW.detail)
    RETURNING id INTO NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_is_written INSTEAD OF INSERT ON audit FOR EACH ROW EXECUTE FUNCTION write_audit_line();

ALTER TABLE change ALTER COLUMN study_instance_uid DROP NOT NULL, ALTER COLUMN series_instance_uid DROP NOT NULL,
    ALTER COLUMN sop_instance_uid DROP NOT NULL, ADD COLUMN series bigint, ADD COLUMN uid bytea;
COMMENT ON COLUMN change.series IS 'where the UIDs are NULL: the id of a series that is there or gone, and in uid the packed UID of the instance';

CREATE VIEW numbered_change AS
SELECT c.number, c.at, c.action, coalesce(c.study_instance_uid, s.study_instance_uid, g.study_instance_uid) AS study_instance_uid,
    coalesce(c.series_instance_uid, e.series_instance_uid, g.series_instance_uid) AS series_instance_uid,
    coalesce(c.sop_instance_uid, uid_of(c.uid)) AS sop_instance_uid
FROM change c
LEFT JOIN series e ON e.id = c.series
LEFT JOIN study s ON s.id = e.study
LEFT JOIN series_gone g ON g.series = c.series;
COMMENT ON VIEW numbered_change IS 'the changes with their UIDs, whichever way they are kept';

ALTER TABLE change_waiting ALTER COLUMN study_instance_uid DROP NOT NULL, ALTER COLUMN series_instance_uid DROP NOT NULL,
    ALTER COLUMN sop_instance_uid DROP NOT NULL, ADD COLUMN series bigint, ADD COLUMN uid bytea;

-- Who waits in a call of it goes on with it.
ALTER FUNCTION register_instance(text, text, text, text, text, text, text, jsonb, jsonb, jsonb, jsonb, bigint[], integer, bytea, bytea, bytea, bytea, text[], text, text, bigint, bigint, text, text, text, text, jsonb, jsonb, bigint)
    RENAME TO register_instance_before;
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
                study, series_instance_uid, modality, series_number, attributes, person_names, shared)
            VALUES ((known.study).id, p_series_uid,
                text_of(p_series -> '00080060'), integer_of(p_series -> '00200011'), p_series,
                lexemes_of(p_series_names),
                CASE WHEN (SELECT r.version >= 10 FROM oldest_reader r) THEN p_instance - '00200013' END)
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

CREATE FUNCTION share_attributes(series_key bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    common jsonb;
    rewritten bigint;
BEGIN
    PERFORM FROM series e WHERE e.id = series_key AND e.shared IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT i.attributes - '00200013' INTO common FROM instance i
    WHERE i.series = series_key AND i.attributes IS NOT NULL ORDER BY i.id LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE series SET shared = common WHERE id = series_key;
    WITH kept AS (
        SELECT i.id FROM instance i WHERE i.series = series_key AND i.attributes IS NOT NULL ORDER BY i.id FOR NO KEY UPDATE
    )
    UPDATE instance i SET differences = differences_of(i.attributes, common), attributes = NULL,
        object_digest = short_digest(i.object_digest), dataset_digest = short_digest(i.dataset_digest),
        pixel_digest = short_digest(i.pixel_digest)
    FROM kept WHERE i.id = kept.id;
    GET DIAGNOSTICS rewritten = ROW_COUNT;
    RETURN rewritten;
END $$;
COMMENT ON FUNCTION share_attributes IS 'has the instances of a series keep differences; how many that were';

CREATE FUNCTION rewrite_instances(at_most integer, OUT series_seen bigint, OUT instances bigint) LANGUAGE plpgsql AS $$
DECLARE
    place oldest_reader;
    last_seen bigint;
BEGIN
    -- One at a time; who comes meanwhile has nothing to do.
    SELECT r.* INTO place FROM oldest_reader r
    WHERE r.version >= 10 AND r.rewritten_to < r.rewrite_to FOR UPDATE SKIP LOCKED;
    WITH next AS MATERIALIZED (
        SELECT e.id FROM series e WHERE e.id > place.rewritten_to AND e.id <= place.rewrite_to ORDER BY e.id LIMIT at_most
    )
    SELECT count(*), coalesce(sum(share_attributes(next.id)), 0), max(next.id)
    INTO series_seen, instances, last_seen FROM next;
    UPDATE oldest_reader r SET rewritten_to = coalesce(last_seen, r.rewrite_to)
    WHERE r.version >= 10 AND place.version IS NOT NULL;
END $$;
COMMENT ON FUNCTION rewrite_instances IS 'has the instances of some more series keep differences that were stored whole; none seen: all are done, or others do it';

CREATE OR REPLACE FUNCTION number_changes(at_most integer) RETURNS bigint LANGUAGE plpgsql AS $$
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
    INSERT INTO change (number, at, action, study_instance_uid, series_instance_uid, sop_instance_uid, series, uid)
    SELECT (SELECT coalesce(max(c.number), 0) FROM change c) + row_number() OVER (ORDER BY m.id),
        m.at, m.action, m.study_instance_uid, m.series_instance_uid, m.sop_instance_uid, m.series, m.uid
    FROM moved m ORDER BY m.id;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    RETURN numbered;
END $$;
COMMENT ON FUNCTION number_changes IS 'gives committed changes their numbers, the oldest first; how many there were';

CREATE OR REPLACE FUNCTION move_to_trash(p_trash bigint, instance_keys bigint[], conflict_keys bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH item AS (
        INSERT INTO trash_item (trash, row_id, kind, sop_instance_uid, description)
        SELECT p_trash, i.id, 'instance', i.sop_instance_uid, to_jsonb(i) || jsonb_build_object(
            'attributes', attributes_of(i.attributes, i.differences, e.shared, i.instance_number),
            'differences', NULL, 'object_digest', long_digest(i.object_digest),
            'dataset_digest', long_digest(i.dataset_digest), 'pixel_digest', long_digest(i.pixel_digest))
        FROM instance i JOIN series e ON e.id = i.series WHERE i.id = ANY(instance_keys) ORDER BY i.id
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

CREATE OR REPLACE FUNCTION restore_series(entry trash, series_id bigint, study_key bigint, OUT series_key bigint)
LANGUAGE plpgsql AS $$
DECLARE
    old_series series := jsonb_populate_record(NULL::series, entry.series -> series_id::text);
BEGIN
    old_series.study := study_key;
    IF old_series.shared IS NULL AND EXISTS (SELECT FROM series_gone g WHERE g.series = old_series.id) THEN
        -- It has shared something since: who remembers that must not take this for the same.
        old_series.id := nextval(pg_get_serial_sequence('series', 'id'));
    END IF;
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

CREATE OR REPLACE FUNCTION restore_instance(entry trash, item trash_item, series_key bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    was instance := jsonb_populate_record(NULL::instance, item.description);
    kept instance;
    visible record;
    made record;
BEGIN
    -- As a store would: the same again is a duplicate and stays in the trash, other content a conflict. The id is a new
    -- one, since what was made of a series is known by how many instances it has and the highest id among them.
    was.id := nextval(pg_get_serial_sequence('instance', 'id'));
    was.series := series_key;
    kept := was;
    SELECT CASE WHEN e.shared IS NULL THEN was.attributes END, differences_of(was.attributes, e.shared)
    INTO kept.attributes, kept.differences FROM series e WHERE e.id = series_key;
    IF kept.attributes IS NULL THEN
        kept.object_digest := short_digest(was.object_digest);
        kept.dataset_digest := short_digest(was.dataset_digest);
        kept.pixel_digest := short_digest(was.pixel_digest);
    END IF;
    LOOP
        INSERT INTO instance OVERRIDING SYSTEM VALUE SELECT kept.* ON CONFLICT (sop_instance_uid) DO NOTHING;
        IF FOUND THEN
            UPDATE location SET trash_item = NULL, instance = was.id WHERE location.trash_item = item.id;
            INSERT INTO change_waiting (action, study_instance_uid, series_instance_uid, sop_instance_uid)
            SELECT 'restored', entry.study_instance_uid, e.series_instance_uid, was.sop_instance_uid
            FROM series e WHERE e.id = series_key;
            RETURN 'restored';
        END IF;
        SELECT long_digest(i.dataset_digest) AS dataset_digest, i.transfer_syntax_uid INTO visible FROM instance i
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

CREATE OR REPLACE FUNCTION restore_known_conflict(item trash_item) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    was conflict := jsonb_populate_record(NULL::conflict, item.description);
BEGIN
    IF was.kind = 'content' AND EXISTS (
        SELECT FROM instance i WHERE i.sop_instance_uid = was.sop_instance_uid
            AND long_digest(i.dataset_digest) = was.dataset_digest AND i.transfer_syntax_uid = was.transfer_syntax_uid) THEN
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
