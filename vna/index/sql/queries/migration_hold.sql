-- The study, as long as this transaction lasts, if the worker holds it still.
SELECT id FROM migration_study WHERE id = %(study)s AND holder = %(worker)s FOR UPDATE
