-- Every stored object that is corrected, with those in conflict and in the trash.
SELECT long_digest(i.object_digest) AS digest, i.correction FROM instance i WHERE i.correction IS NOT NULL
UNION ALL
SELECT long_digest(c.object_digest), c.correction FROM conflict c
WHERE c.correction IS NOT NULL AND c.kind = 'content'
UNION ALL
SELECT long_digest((t.description ->> 'object_digest')::bytea), (t.description ->> 'correction')::bigint
FROM trash_item t
WHERE t.description ->> 'correction' IS NOT NULL AND t.description ->> 'kind' IS DISTINCT FROM 'patient_mismatch'
