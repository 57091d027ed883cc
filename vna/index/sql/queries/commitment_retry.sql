-- Makes requests due at once, their attempts and age counted anew. What was found long ago may be so no more: it is
-- found out again, except that the transaction UID was in use (0131H).
UPDATE commitment
SET attempts = 0, requested_at = now(), next_attempt_at = NULL, holder = '', held_until = '-infinity',
    failure_reasons = CASE WHEN failure_reasons[1] = 305 THEN failure_reasons ELSE '{}' END,
    state = CASE WHEN failure_reasons[1] = 305 THEN 'reporting' ELSE 'checking' END
WHERE id = ANY(%s) AND (state = 'parked' OR state <> 'reported' AND held_until < now())
RETURNING id
