-- Forgets by what objects are corrected that rows name now.
DELETE FROM told_correction WHERE object_digest = ANY(%s::bytea[])
