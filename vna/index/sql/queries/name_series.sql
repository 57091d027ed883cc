-- The tokens of the person names of some rows.
UPDATE series SET person_names = lexemes_of(v.names)
FROM unnest(%s::bigint[], %s::text[]::jsonb[]) AS v(id, names)
WHERE series.id = v.id
