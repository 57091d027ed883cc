-- Tag rules of migrations: every version, and which one an instance went by.

CREATE TABLE migration_rules (
    campaign integer NOT NULL REFERENCES campaign ON DELETE CASCADE,
    version integer NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    declared_by text NOT NULL,
    system text NOT NULL,
    digest text COLLATE "C" NOT NULL,
    rules text NOT NULL,
    maps jsonb NOT NULL,
    PRIMARY KEY (campaign, version)
);
COMMENT ON TABLE migration_rules IS 'what a campaign corrects in that which it brings, from declared_at until the next version';
COMMENT ON COLUMN migration_rules.maps IS 'the content of each CSV map by the name that it has in the rules';

ALTER TABLE migration_instance ADD COLUMN rules integer;
COMMENT ON COLUMN migration_instance.rules IS 'the version of the rules that it came by, whether they changed anything or not; NULL: there were none';
