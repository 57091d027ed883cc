-- A worker leaves; whatever it holds goes to others by the next of them that looks.
DELETE FROM migration_worker WHERE id = %(worker)s
