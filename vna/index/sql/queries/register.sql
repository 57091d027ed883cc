-- Registers one instance: one call, one transaction.
SELECT outcome, location_is_kept, conflict_id, is_mismatch, series_key, series_shared
FROM register_instance(
    %s::text, %s::text, %s::text, %s::text, %s::text, %s::text, %s::text,
    %s::jsonb, %s::jsonb, %s::jsonb, %s::jsonb,
    %s::bigint[], %s::integer, %s::bytea, %s::bytea, %s::bytea, %s::bytea, %s::text[],
    %s::text, %s::text, %s::bigint, %s::bigint, %s::text, %s::text, %s::text, %s::text,
    %s::jsonb, %s::jsonb, %s::bigint, %s::jsonb, %s::text[], %s::text[], %s::bigint
)
