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
