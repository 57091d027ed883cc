-- A verification has seen everything.
UPDATE verification SET ended_at = now(), seen_at = now(), backend = '', position = '' WHERE id = %s
