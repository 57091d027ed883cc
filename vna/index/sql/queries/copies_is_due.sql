-- Whether there is something to be copied or healed now.
SELECT EXISTS (SELECT FROM copy WHERE next_attempt_at <= now())
