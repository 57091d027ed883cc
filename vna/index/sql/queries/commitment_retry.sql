-- Makes requests due at once, their attempts and age counted anew.
UPDATE commitment
SET attempts = 0, requested_at = now(), next_attempt_at = NULL, holder = '', held_until = '-infinity',
    state = CASE WHEN cardinality(failure_reasons) = cardinality(sop_instance_uids)
        THEN 'reporting' ELSE 'checking' END
WHERE id = ANY(%s) AND (state = 'parked' OR state <> 'reported' AND held_until < now())
RETURNING id
