-- What verifications have looked at, and found.

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
    position text COLLATE "C" NOT NULL DEFAULT ''
);
COMMENT ON TABLE verification IS 'comparisons of the whole index with the storage; an open one goes on behind position, the last key it dealt with';

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
