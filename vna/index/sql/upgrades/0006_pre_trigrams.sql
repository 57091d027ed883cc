-- Names and Patient IDs of which only the middle is known. The indexes take a minute or two for a million studies.

CREATE FUNCTION trigrams_of(VARIADIC texts text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT DISTINCT substr(t, n, 3) FROM unnest(texts) AS t, generate_series(1, length(t) - 2) AS n);
COMMENT ON FUNCTION trigrams_of IS 'all runs of three characters in some texts: what holds a text holds its trigrams';

CREATE INDEX patient_by_trigrams ON patient USING gin (trigrams_of(patient_id)) WITH (fastupdate = off)
    WHERE patient_id <> '';
CREATE INDEX study_by_trigrams ON study
    USING gin (trigrams_of(patient_name, patient_name_ideographic, patient_name_phonetic)) WITH (fastupdate = off);
