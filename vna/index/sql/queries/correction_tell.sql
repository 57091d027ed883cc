-- Remembers by what objects are corrected that no row may name yet.
INSERT INTO told_correction (object_digest, correction)
SELECT DISTINCT ON (digest) digest, number FROM unnest(%s::bytea[], %s::bigint[]) AS told (digest, number)
ON CONFLICT (object_digest) DO UPDATE SET correction = excluded.correction
