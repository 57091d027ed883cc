-- A study that no worker has, as long as this transaction lasts.
SELECT id FROM migration_study WHERE id = %(study)s AND holder IS NULL FOR UPDATE
