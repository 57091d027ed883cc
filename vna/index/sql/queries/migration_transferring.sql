-- These instances are being asked for.
UPDATE migration_instance SET state = 'transferring', attempts = attempts + 1 WHERE id = ANY(%(ids)s)
