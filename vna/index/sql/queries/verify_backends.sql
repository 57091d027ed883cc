-- Every backend that a row names.
SELECT backend FROM location GROUP BY backend
UNION SELECT backend FROM copy WHERE key IS NOT NULL GROUP BY backend
UNION SELECT backend FROM left_object GROUP BY backend
