-- Empties a backend no further; who works on it finds its claim gone.
DELETE FROM drain WHERE backend = %s AND ended_at IS NULL RETURNING backend
