-- Forgets requests of which nothing is in the trash any more.
DELETE FROM trash t WHERE t.deleted_at <= now() - make_interval(days => %s)
    AND NOT EXISTS (SELECT FROM trash_item i WHERE i.trash = t.id)
