-- Begins to empty a backend, or goes on with it under other conditions.
INSERT INTO drain AS d (backend, target, grace) VALUES (%(backend)s, %(target)s, %(grace)s)
ON CONFLICT (backend) DO UPDATE
SET target = excluded.target, grace = excluded.grace, next_attempt_at = now(), ended_at = NULL,
    began_at = CASE WHEN d.ended_at IS NULL THEN d.began_at ELSE now() END,
    moved = CASE WHEN d.ended_at IS NULL THEN d.moved ELSE 0 END,
    dropped = CASE WHEN d.ended_at IS NULL THEN d.dropped ELSE 0 END,
    size = CASE WHEN d.ended_at IS NULL THEN d.size ELSE 0 END,
    failed = 0, last_error = ''
RETURNING backend, target, began_at, ended_at, moved, dropped, size, failed, grace, held_until > now(), last_error
