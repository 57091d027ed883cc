-- The ledger of migrations, which is also their queue.

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
    received_dataset bytea
) WITH (fillfactor = 80);
COMMENT ON TABLE migration_instance IS 'an instance of such a study, as the source lists it, and what became of it';
COMMENT ON COLUMN migration_instance.seen IS 'the newest inventory that has it; 0: it came without being listed';
COMMENT ON COLUMN migration_instance.received IS 'the digest of the object that came; received_dataset that of its dataset';
COMMENT ON COLUMN migration_instance.evidence IS 'what was compared before it was called verified';
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
