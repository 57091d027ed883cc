-- Finished metadata documents of series, and which of them have to be made anew.

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
-- What was stored before gets its document when somebody asks for it.
INSERT INTO series_due_cursor SELECT coalesce(max(number), 0) FROM change;
