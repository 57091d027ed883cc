-- How much there is.
SELECT
    (SELECT count(*) FROM patient),
    (SELECT count(*) FROM study),
    (SELECT count(*) FROM series),
    (SELECT count(*) FROM instance),
    (SELECT count(*) FROM conflict WHERE resolved_at IS NULL),
    (SELECT coalesce(sum(length), 0)::bigint FROM location)
