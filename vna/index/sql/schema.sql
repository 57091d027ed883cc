-- The present schema; upgrades/ is the road to it, and a test compares the two.
-- Attributes of all levels are kept in the DICOM JSON model (PS3.18 F.2), elements without a value left out.
-- In a partitioned database a line with the mark "partitioned:" in a comment reads as what follows the mark.

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

CREATE FUNCTION lexemes_of(names jsonb) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN array_to_tsvector(ARRAY(
    SELECT key || token FROM jsonb_each(names), jsonb_array_elements_text(value) AS token));
COMMENT ON FUNCTION lexemes_of IS 'the tokens of person names, by the key of their attribute, each behind its key';

CREATE FUNCTION new_lexemes_of(names jsonb, known tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN known || lexemes_of(names - ARRAY(SELECT DISTINCT left(l, 8) FROM unnest(tsvector_to_array(known)) AS l));
COMMENT ON FUNCTION new_lexemes_of IS 'known with the tokens of those attributes of which it has none yet';

CREATE FUNCTION trigrams_of(VARIADIC texts text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT DISTINCT substr(t, n, 3) FROM unnest(texts) AS t, generate_series(1, length(t) - 2) AS n);
COMMENT ON FUNCTION trigrams_of IS 'all runs of three characters in some texts: what holds a text holds its trigrams';

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

CREATE TABLE schema_version (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE oldest_reader (
    version integer NOT NULL,
    rewritten_to bigint NOT NULL DEFAULT 0,
    rewrite_to bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE oldest_reader IS 'one row: the lowest version of the schema that archives which serve know: what others could not read may be written';
COMMENT ON COLUMN oldest_reader.rewritten_to IS 'instances of series up to this id, of those up to rewrite_to, are no more as others wrote them';
INSERT INTO oldest_reader (version) VALUES (10);

CREATE TABLE patient (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    issuer_of_patient_id text COLLATE "C" NOT NULL,
    patient_id text COLLATE "C" NOT NULL,
    attributes jsonb NOT NULL
);
COMMENT ON TABLE patient IS 'a patient as the first of its instances said; without a Patient ID there is one per study';
CREATE UNIQUE INDEX patient_identity ON patient (patient_id, issuer_of_patient_id) WHERE patient_id <> '';
CREATE INDEX patient_by_trigrams ON patient USING gin (trigrams_of(patient_id)) WITH (fastupdate = off)
    WHERE patient_id <> '';

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
    created_at timestamptz NOT NULL DEFAULT now(),
    person_names tsvector
);
COMMENT ON TABLE study IS 'a study as the first of its instances said, with the patient as that instance said';
COMMENT ON COLUMN study.patient_attributes IS 'only where they differ from those of the patient';
COMMENT ON COLUMN study.person_names IS 'tokens of the person names of study and patient, each behind the key of its attribute; NULL: not made yet';
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
CREATE INDEX study_by_person_names ON study USING gin (person_names) WITH (fastupdate = off)
    WHERE person_names IS NOT NULL;
CREATE INDEX study_without_person_names ON study (id) WHERE person_names IS NULL;
CREATE INDEX study_by_trigrams ON study
    USING gin (trigrams_of(patient_name, patient_name_ideographic, patient_name_phonetic)) WITH (fastupdate = off);

CREATE TABLE series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study bigint NOT NULL REFERENCES study,
    series_instance_uid text COLLATE "C" NOT NULL,
    modality text COLLATE "C",
    series_number integer,
    attributes jsonb NOT NULL,
    person_names tsvector,
    shared jsonb
);
COMMENT ON TABLE series IS 'a series of a study as the first of its instances said';
COMMENT ON COLUMN series.shared IS 'the attributes of one of its instances, of which others keep the differences; never changed. NULL: all are kept whole';
CREATE UNIQUE INDEX series_identity ON series (series_instance_uid, study);
CREATE INDEX series_by_study ON series (study, modality);
CREATE INDEX series_by_person_names ON series USING gin (person_names) WITH (fastupdate = off)
    WHERE person_names IS NOT NULL;
CREATE INDEX series_without_person_names ON series (id) WHERE person_names IS NULL;

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

CREATE TABLE person_name_scheme (scheme text COLLATE "C" NOT NULL);
COMMENT ON TABLE person_name_scheme IS 'one row: how the tokens of person names were made; they are made anew for another';

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
    attributes jsonb,
    differences jsonb,
    correction bigint,
    CHECK (num_nonnulls(attributes, differences) = 1)
);  -- partitioned: ) PARTITION BY HASH (sop_instance_uid);
-- partitioned: CREATE INDEX instance_by_id ON instance (id);
ALTER TABLE instance ALTER COLUMN frames SET STORAGE EXTERNAL;
COMMENT ON TABLE instance IS 'a stored instance; digests are the name of the algorithm, a colon and the raw digest, or shorter (short_digest)';
COMMENT ON COLUMN instance.attributes IS 'all that is kept; NULL where differences stand';
COMMENT ON COLUMN instance.differences IS 'what differs from the attributes that its series shares, as differences_of makes it';
COMMENT ON COLUMN instance.correction IS 'what is changed in it on its way out, and is in its attributes already; NULL for nearly all';
CREATE UNIQUE INDEX instance_identity ON instance (sop_instance_uid);
CREATE INDEX instance_by_series ON instance (series, id);

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
    correlation_id text NOT NULL,
    correction bigint
);
COMMENT ON TABLE conflict IS 'what waits for a person: other content under a known UID (kept whole), or a study under another patient';
CREATE UNIQUE INDEX conflict_content ON conflict (sop_instance_uid, dataset_digest, transfer_syntax_uid)
    WHERE kind = 'content';
CREATE UNIQUE INDEX conflict_patient ON conflict (study_instance_uid, patient_id, issuer_of_patient_id)
    WHERE kind = 'patient_mismatch';

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

CREATE TABLE location (
    instance bigint REFERENCES instance ON DELETE CASCADE,  -- partitioned: instance bigint,
    conflict bigint REFERENCES conflict ON DELETE CASCADE,
    "offset" bigint NOT NULL,
    length bigint NOT NULL,
    backend text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    trash_item bigint REFERENCES trash_item ON DELETE CASCADE,
    CHECK (num_nonnulls(instance, conflict, trash_item) = 1)
);  -- partitioned: ) PARTITION BY HASH (key);
COMMENT ON TABLE location IS 'where the bytes of an instance, of a conflicting version of one, or of what is in the trash, lie';
CREATE UNIQUE INDEX location_identity ON location (key, "offset", backend);
CREATE UNIQUE INDEX location_of_instance  -- partitioned: CREATE INDEX location_of_instance
    ON location (instance) WHERE instance IS NOT NULL;
CREATE UNIQUE INDEX location_of_conflict  -- partitioned: CREATE INDEX location_of_conflict
    ON location (conflict) WHERE conflict IS NOT NULL;
CREATE UNIQUE INDEX location_of_trash_item  -- partitioned: CREATE INDEX location_of_trash_item
    ON location (trash_item) WHERE trash_item IS NOT NULL;

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

CREATE TABLE audit_line (
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
COMMENT ON TABLE audit_line IS 'lines of the audit trail that stand alone; written, never changed';
CREATE INDEX audit_by_time ON audit_line USING brin (at);
CREATE INDEX audit_by_study ON audit_line (study_instance_uid) WHERE study_instance_uid <> '';

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

CREATE TABLE change (
    number bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    action text COLLATE "C" NOT NULL CHECK (action IN ('stored', 'deleted', 'restored')),
    study_instance_uid text COLLATE "C",
    series_instance_uid text COLLATE "C",
    sop_instance_uid text COLLATE "C",
    series bigint,
    uid bytea
);  -- partitioned: ) PARTITION BY RANGE (number);
COMMENT ON TABLE change IS 'what came and went, numbered without gaps in an order in which no later commit gets a lower number';
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

CREATE TABLE change_waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    action text COLLATE "C" NOT NULL,
    study_instance_uid text COLLATE "C",
    series_instance_uid text COLLATE "C",
    sop_instance_uid text COLLATE "C",
    series bigint,
    uid bytea
);
COMMENT ON TABLE change_waiting IS 'changes, written in the transaction that made them; whoever reads first numbers those that are committed';

CREATE TABLE series_document (
    series bigint PRIMARY KEY REFERENCES series ON DELETE CASCADE,
    state bytea NOT NULL,
    version integer NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    root text NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE series_document ALTER COLUMN body SET STORAGE EXTERNAL;
COMMENT ON TABLE series_document IS 'the metadata of all instances of a series, compressed; it counts only while state is that of the series';
COMMENT ON COLUMN series_document.state IS 'SHA-256 of the ids of the instances described, in their order, with commas between';
COMMENT ON COLUMN series_document.root IS 'the URL below which its bulk data lie';

CREATE TABLE series_due (
    study_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL,
    changed_at timestamptz NOT NULL,
    taken_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (series_instance_uid, study_instance_uid)
);
COMMENT ON TABLE series_due IS 'series that have changed since their document was made; whoever makes it holds the row for a while';
CREATE INDEX series_due_by_time ON series_due (changed_at);

CREATE TABLE series_due_cursor (number bigint NOT NULL);
COMMENT ON TABLE series_due_cursor IS 'one row: the last change that series_due knows of';
INSERT INTO series_due_cursor SELECT coalesce(max(number), 0) FROM change;

CREATE TABLE verification (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    is_deep boolean NOT NULL,
    is_scheduled boolean NOT NULL,
    objects bigint NOT NULL DEFAULT 0,
    size bigint NOT NULL DEFAULT 0,
    backend text COLLATE "C" NOT NULL DEFAULT '',
    position text COLLATE "C" NOT NULL DEFAULT '',
    of_backend text COLLATE "C" NOT NULL DEFAULT ''
);
COMMENT ON TABLE verification IS 'comparisons of the whole index with the storage; an open one goes on behind position, the last key it dealt with';
COMMENT ON COLUMN verification.of_backend IS 'the one backend that it looks at; empty: all';

CREATE TABLE verification_finding (
    verification bigint NOT NULL REFERENCES verification ON DELETE CASCADE,
    "offset" bigint NOT NULL,
    length bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    fault text COLLATE "C" NOT NULL,
    backend text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    study_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL,
    sop_instance_uid text COLLATE "C" NOT NULL,
    detail text NOT NULL,
    repaired text NOT NULL,
    PRIMARY KEY (verification, backend, key, "offset")
);
COMMENT ON TABLE verification_finding IS 'faults between index and storage; repaired: what was done about it, empty: nothing';

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

CREATE VIEW named_object AS
SELECT CASE WHEN l.instance IS NOT NULL THEN 'instance' WHEN l.conflict IS NOT NULL THEN 'conflict' ELSE 'trash' END AS owner,
    coalesce(s.study_instance_uid, c.study_instance_uid, w.study_instance_uid, '') AS study_instance_uid,
    coalesce(e.series_instance_uid, c.series_instance_uid, w.series_instance_uid, '') AS series_instance_uid,
    coalesce(i.sop_instance_uid, c.sop_instance_uid, t.sop_instance_uid) AS sop_instance_uid,
    l.backend, l.key, l."offset", l.length,
    coalesce(i.object_digest, c.object_digest, (t.description ->> 'object_digest')::bytea) AS object_digest,
    l.instance, l.conflict
FROM location l
LEFT JOIN instance i ON i.id = l.instance
LEFT JOIN series e ON e.id = i.series
LEFT JOIN study s ON s.id = e.study
LEFT JOIN conflict c ON c.id = l.conflict
LEFT JOIN trash_item t ON t.id = l.trash_item
LEFT JOIN trash w ON w.id = t.trash;
COMMENT ON VIEW named_object IS 'every object that a row names: for whom, where, and which bytes it has to have';

CREATE TABLE commitment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    peer text COLLATE "C" NOT NULL,
    transaction_uid text COLLATE "C" NOT NULL,
    references_digest bytea NOT NULL,
    address text NOT NULL,
    correlation_id text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    reported_at timestamptz,
    next_attempt_at timestamptz,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    holder text NOT NULL DEFAULT '',
    state text COLLATE "C" NOT NULL CHECK (state IN ('checking', 'reporting', 'parked', 'reported')),
    attempts integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT '',
    sop_class_uids text[] COLLATE "C" NOT NULL,
    sop_instance_uids text[] COLLATE "C" NOT NULL,
    failure_reasons integer[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE commitment IS 'storage commitment that a peer asked for; whoever checks or reports holds the row for a while';
COMMENT ON COLUMN commitment.failure_reasons IS 'Failure Reason of each reference checked so far, in their order; 0: it is kept';
CREATE UNIQUE INDEX commitment_identity ON commitment (transaction_uid, peer, references_digest);
CREATE INDEX commitment_held ON commitment (holder) WHERE holder <> '';
CREATE INDEX commitment_open ON commitment (id) WHERE state <> 'reported';
CREATE INDEX commitment_reported ON commitment (reported_at) WHERE state = 'reported';

CREATE TABLE commitment_asked (
    transaction_uid text COLLATE "C" PRIMARY KEY,
    peer text COLLATE "C" NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    reported_at timestamptz,
    sop_class_uids text[] COLLATE "C" NOT NULL,
    sop_instance_uids text[] COLLATE "C" NOT NULL,
    failure_reasons integer[]
);
COMMENT ON TABLE commitment_asked IS 'storage commitment that we asked a peer for';
COMMENT ON COLUMN commitment_asked.failure_reasons IS 'as reported, in the order of the references; NULL: not reported yet';

CREATE TABLE jobs_migration (
    name text COLLATE "C" PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE jobs_migration IS 'which migrations of procrastinate its tables have';

CREATE TABLE campaign (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    inventory integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    name text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'running', 'paused', 'done')),
    source jsonb NOT NULL,
    scope jsonb NOT NULL,
    settings jsonb NOT NULL
);
COMMENT ON TABLE campaign IS 'a migration of one source; inventory is the number of the newest one';
CREATE UNIQUE INDEX campaign_identity ON campaign (name);

CREATE TABLE migration_inventory (
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    number integer NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    PRIMARY KEY (campaign, number)
);
COMMENT ON TABLE migration_inventory IS 'when the source was asked for all that it has; an open one goes on';

CREATE TABLE migration_study (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    holder bigint,
    campaign integer NOT NULL REFERENCES campaign,
    seen integer NOT NULL,
    listed integer NOT NULL DEFAULT 0,
    priority integer NOT NULL DEFAULT 0,
    rank integer NOT NULL,
    claimed integer,
    attempts integer NOT NULL DEFAULT 0,
    losses integer NOT NULL DEFAULT 0,
    exceptions integer NOT NULL DEFAULT 0,
    discovered_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    began_at timestamptz,
    verified_at timestamptz,
    next_attempt_at timestamptz,
    study_date date,
    state text COLLATE "C" NOT NULL DEFAULT 'discovered' CHECK (state IN ('discovered', 'queued', 'transferring',
        'landed', 'verified', 'mismatched', 'failed', 'excluded', 'parked')),
    reason text COLLATE "C" NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    study_instance_uid text COLLATE "C" NOT NULL,
    found jsonb NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE migration_study IS 'a study of a campaign: ledger and queue; whoever works on it is its holder';
COMMENT ON COLUMN migration_study.seen IS 'the newest inventory that has it';
COMMENT ON COLUMN migration_study.listed IS 'the inventory in which its instances were listed; 0: they have to be';
COMMENT ON COLUMN migration_study.claimed IS 'how many instances the source says it has; no evidence of anything';
COMMENT ON COLUMN migration_study.losses IS 'how many workers ended over it in a row without getting on';
COMMENT ON COLUMN migration_study.exceptions IS 'its instances that are mismatched, failed, excluded or parked';
CREATE UNIQUE INDEX migration_study_identity ON migration_study (campaign, study_instance_uid);
CREATE INDEX migration_study_queued ON migration_study (campaign, priority DESC, rank DESC, id) WHERE state = 'queued';
CREATE INDEX migration_study_waiting ON migration_study (campaign, next_attempt_at) WHERE state = 'failed';
CREATE INDEX migration_study_held ON migration_study (holder) WHERE holder IS NOT NULL;
CREATE INDEX migration_study_unlisted ON migration_study (campaign, id) WHERE listed = 0;
CREATE INDEX migration_study_exceptional ON migration_study (campaign, id)
    WHERE exceptions > 0 OR state IN ('mismatched', 'failed', 'excluded', 'parked');

CREATE TABLE migration_instance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study bigint NOT NULL REFERENCES migration_study,
    conflict bigint,
    size bigint,
    received_size bigint,
    campaign integer NOT NULL,
    seen integer NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    number_of_frames integer,
    discovered_at timestamptz NOT NULL DEFAULT now(),
    landed_at timestamptz,
    verified_at timestamptz,
    state text COLLATE "C" NOT NULL DEFAULT 'discovered' CHECK (state IN ('discovered', 'queued', 'transferring',
        'landed', 'verified', 'mismatched', 'failed', 'excluded', 'parked')),
    reason text COLLATE "C" NOT NULL DEFAULT '',
    sop_instance_uid text COLLATE "C" NOT NULL,
    series_instance_uid text COLLATE "C" NOT NULL,
    sop_class_uid text COLLATE "C" NOT NULL,
    transfer_syntax_uid text COLLATE "C" NOT NULL,
    modality text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    detail text,
    outcome text COLLATE "C",
    evidence text,
    received bytea,
    received_dataset bytea,
    rules integer
) WITH (fillfactor = 80);
COMMENT ON TABLE migration_instance IS 'an instance of such a study, as the source lists it, and what became of it';
COMMENT ON COLUMN migration_instance.seen IS 'the newest inventory that has it; 0: it came without being listed';
COMMENT ON COLUMN migration_instance.received IS 'the digest of the object that came; received_dataset that of its dataset';
COMMENT ON COLUMN migration_instance.evidence IS 'what was compared before it was called verified';
COMMENT ON COLUMN migration_instance.rules IS 'the version of the rules that it came by, whether they changed anything or not; NULL: there were none';
CREATE UNIQUE INDEX migration_instance_identity
    ON migration_instance (study, sop_instance_uid, series_instance_uid, hashtextextended(place, 0));

CREATE TABLE migration_attempt (
    study bigint NOT NULL REFERENCES migration_study,
    taken_bytes bigint NOT NULL,
    campaign integer NOT NULL,
    number integer NOT NULL,
    asked integer NOT NULL,
    taken integer NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now(),
    seconds double precision NOT NULL,
    worker text NOT NULL,
    said text NOT NULL
);
COMMENT ON TABLE migration_attempt IS 'what each fetch of a study brought, and how the source described its end';
CREATE INDEX migration_attempt_of_study ON migration_attempt (study);
CREATE INDEX migration_attempt_by_time ON migration_attempt (campaign, ended_at);

CREATE TABLE migration_worker (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    active integer NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    pace double precision NOT NULL DEFAULT 0,
    name text NOT NULL,
    note text NOT NULL DEFAULT ''
);
COMMENT ON TABLE migration_worker IS 'who works on a campaign now; seen_at is the lease of all studies that it holds';
CREATE INDEX migration_worker_of_campaign ON migration_worker (campaign);

CREATE TABLE migration_count (
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    shard integer NOT NULL,
    count bigint NOT NULL,
    amount numeric NOT NULL,
    level text COLLATE "C" NOT NULL CHECK (level IN ('study', 'instance', 'unlisted')),
    state text COLLATE "C" NOT NULL,
    PRIMARY KEY (campaign, shard, level, state)
) WITH (fillfactor = 50);
COMMENT ON TABLE migration_count IS 'how many studies and instances are in each state, kept by triggers, in shards so that workers do not wait for each other';
COMMENT ON COLUMN migration_count.amount IS 'bytes of instances; of studies that are not listed the instances that the source claims';

CREATE TABLE migration_rules (
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    version integer NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    declared_by text NOT NULL,
    system text NOT NULL,
    digest text COLLATE "C" NOT NULL,
    rules text NOT NULL,
    maps jsonb NOT NULL,
    PRIMARY KEY (campaign, version)
);
COMMENT ON TABLE migration_rules IS 'what a campaign corrects in that which it brings, from declared_at until the next version';
COMMENT ON COLUMN migration_rules.maps IS 'the content of each CSV map by the name that it has in the rules';

CREATE TABLE migration_final_check (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    inventory integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    is_reread boolean NOT NULL,
    has_passed boolean,
    accepts_exceptions boolean NOT NULL DEFAULT false,
    operator text NOT NULL,
    findings jsonb NOT NULL
);
COMMENT ON TABLE migration_final_check IS 'what the archive was found to have of a campaign in the end; an open one goes on';
COMMENT ON COLUMN migration_final_check.position IS 'the last study that was checked';
COMMENT ON COLUMN migration_final_check.inventory IS 'the inventory that found nothing new before it';
CREATE UNIQUE INDEX migration_final_check_open ON migration_final_check (campaign) WHERE ended_at IS NULL;
CREATE INDEX migration_final_check_of_campaign ON migration_final_check (campaign, id);

CREATE FUNCTION add_migration_count(
    p_campaign integer, p_study bigint, p_level text, p_state text, p_count bigint, p_amount numeric
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO migration_count AS c (campaign, shard, level, state, count, amount)
    VALUES (p_campaign, p_study % 16, p_level, p_state, p_count, p_amount)
    ON CONFLICT (campaign, shard, level, state) DO UPDATE
    SET count = c.count + excluded.count, amount = c.amount + excluded.amount
$$;

CREATE FUNCTION count_migration() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    counted text := CASE TG_TABLE_NAME
        WHEN 'migration_instance' THEN
            'SELECT campaign, study % 16 AS shard, ''instance'' AS level, state, '
            'coalesce(received_size, size, 0) AS amount, N AS n FROM ROWS'
        ELSE
            'SELECT campaign, id % 16 AS shard, ''study'' AS level, state, 0 AS amount, N AS n FROM ROWS UNION ALL '
            'SELECT campaign, id % 16, ''unlisted'', state, coalesce(claimed, 0), N AS n FROM ROWS WHERE listed = 0' END;
    added text := replace(replace(counted, 'ROWS', 'new_rows'), 'N AS', '1 AS');
    removed text := replace(replace(counted, 'ROWS', 'old_rows'), 'N AS', '-1 AS');
BEGIN
    -- Each trigger has only the transition tables that it names. The order keeps two transactions from a deadlock.
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM old_rows) THEN
            RETURN NULL;
        END IF;
    ELSIF NOT EXISTS (SELECT FROM new_rows) THEN
        RETURN NULL;
    END IF;
    EXECUTE 'SELECT add_migration_count(campaign, shard, level, state, n, amount) FROM ('
        'SELECT campaign, shard, level, state, sum(n) AS n, sum(n * amount) AS amount FROM ('
        || CASE TG_OP WHEN 'INSERT' THEN added WHEN 'DELETE' THEN removed ELSE added || ' UNION ALL ' || removed END
        || ') AS r GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0 OR sum(n * amount) <> 0 ORDER BY 1, 2, 3, 4) AS g';
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_migration IS 'keeps migration_count right, whoever writes studies and instances';

CREATE TRIGGER count_inserted AFTER INSERT ON migration_study REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_migration();
CREATE TRIGGER count_updated AFTER UPDATE ON migration_study REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_migration();
CREATE TRIGGER count_deleted AFTER DELETE ON migration_study REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_migration();
CREATE TRIGGER count_inserted AFTER INSERT ON migration_instance REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_migration();
CREATE TRIGGER count_updated AFTER UPDATE ON migration_instance REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_migration();
CREATE TRIGGER count_deleted AFTER DELETE ON migration_instance REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION count_migration();

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

CREATE FUNCTION add_copies(
    p_backend text, p_key text, p_offset bigint, p_copy_backends text[], p_copy_keys text[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO copy (of_backend, of_key, of_offset, backend, key, due_since, next_attempt_at)
    SELECT p_backend, p_key, p_offset, c.backend, nullif(c.key, ''),
        CASE c.key WHEN '' THEN now() END, CASE c.key WHEN '' THEN now() END
    FROM unnest(p_copy_backends, p_copy_keys) AS c (backend, key)
$$;
COMMENT ON FUNCTION add_copies IS 'the copies of a new location: those with a key are written, those with an empty one due';

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
    INSERT INTO change (number, at, action, study_instance_uid, series_instance_uid, sop_instance_uid, series, uid)
    SELECT (SELECT coalesce(max(c.number), 0) FROM change c) + row_number() OVER (ORDER BY m.id),
        m.at, m.action, m.study_instance_uid, m.series_instance_uid, m.sop_instance_uid, m.series, m.uid
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

CREATE FUNCTION restore_instance(entry trash, item trash_item, series_key bigint) RETURNS text
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
        entry.door, entry.peer, entry.address, entry.correlation_id, was.correction) AS c
$$;
COMMENT ON FUNCTION restore_conflict IS 'a conflict that a restored instance makes, told of whoever deleted it';

CREATE FUNCTION restore_known_conflict(item trash_item) RETURNS boolean LANGUAGE plpgsql AS $$
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
