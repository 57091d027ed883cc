-- A study that nobody else writes to as long as this transaction lasts.
SELECT FROM migration_study WHERE id = %(study)s FOR UPDATE
