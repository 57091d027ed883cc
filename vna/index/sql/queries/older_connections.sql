-- Connections to this database of archives below a version of the schema; the first ones did not tell theirs.
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (application_name = 'vna' OR substring(application_name FROM '^vna/([0-9]{1,9})$')::integer < %s)
