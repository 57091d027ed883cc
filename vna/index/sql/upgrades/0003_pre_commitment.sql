-- Storage commitment: what peers asked of us, and what we asked of peers. The tables of jobs are procrastinate's own.

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
