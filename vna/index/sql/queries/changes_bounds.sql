-- The lowest and the highest number that there are; 0 and 0 when there are none.
SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM change
