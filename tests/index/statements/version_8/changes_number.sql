-- Numbers changes that wait for it, if any do.
SELECT CASE WHEN EXISTS (SELECT FROM change_waiting w ORDER BY w.id LIMIT 1) THEN number_changes(%s) ELSE 0 END
