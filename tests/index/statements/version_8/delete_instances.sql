-- Moves a study, a series or an instance into the trash.
SELECT trash_id, instances FROM delete_instances(%s, %s, %s, %s, %s, %s, %s)
