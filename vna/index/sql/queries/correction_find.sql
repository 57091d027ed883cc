-- What a correction changes.
SELECT patch FROM correction WHERE id = %s
