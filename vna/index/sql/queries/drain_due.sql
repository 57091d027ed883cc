-- Drains that somebody may go on with now.
SELECT backend FROM drain WHERE ended_at IS NULL AND held_until <= now() AND next_attempt_at <= now() ORDER BY backend
