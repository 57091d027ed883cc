-- Keeps a document; the lock on the series keeps its row from going meanwhile.
WITH kept AS (SELECT id FROM series WHERE id = %(series)s FOR KEY SHARE)
INSERT INTO series_document (series, state, version, root, body)
SELECT id, %(state)s, %(version)s, %(root)s, %(body)s FROM kept
ON CONFLICT (series) DO UPDATE
SET state = excluded.state, version = excluded.version, root = excluded.root, body = excluded.body,
    made_at = now()
