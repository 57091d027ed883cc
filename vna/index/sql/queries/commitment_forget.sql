-- What was confirmed long ago is in the audit trail only.
WITH answered AS (
    DELETE FROM commitment_asked WHERE reported_at < now() - make_interval(days => %s)
)
DELETE FROM commitment WHERE state = 'reported' AND reported_at < now() - make_interval(days => %s)
