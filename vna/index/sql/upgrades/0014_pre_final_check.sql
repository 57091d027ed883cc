-- The final checks of migrations, each made before a source may be switched off.

CREATE TABLE migration_final_check (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    inventory integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    is_reread boolean NOT NULL,
    has_passed boolean,
    accepts_exceptions boolean NOT NULL DEFAULT false,
    operator text NOT NULL,
    findings jsonb NOT NULL
);
COMMENT ON TABLE migration_final_check IS 'what the archive was found to have of a campaign in the end; an open one goes on';
COMMENT ON COLUMN migration_final_check.position IS 'the last study that was checked';
COMMENT ON COLUMN migration_final_check.inventory IS 'the inventory that found nothing new before it';
CREATE UNIQUE INDEX migration_final_check_open ON migration_final_check (campaign) WHERE ended_at IS NULL;
CREATE INDEX migration_final_check_of_campaign ON migration_final_check (campaign, id);
