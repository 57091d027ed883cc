-- A study is there; what is left is its verification.
UPDATE migration_study SET state = 'landed', changed_at = now() WHERE id = %(study)s AND holder = %(worker)s
