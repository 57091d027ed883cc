-- Notes which series the changes behind the cursor tell of; 0 while another process does.
WITH seen AS (
    SELECT number FROM series_due_cursor FOR UPDATE SKIP LOCKED
), news AS (
    SELECT c.number, c.at, c.study_instance_uid, c.series_instance_uid
    FROM numbered_change c JOIN seen ON c.number > seen.number
    ORDER BY c.number LIMIT %(limit)s
), marked AS (
    INSERT INTO series_due (study_instance_uid, series_instance_uid, changed_at)
    SELECT study_instance_uid, series_instance_uid, max(at) FROM news GROUP BY 1, 2 ORDER BY 2, 1
    ON CONFLICT (series_instance_uid, study_instance_uid) DO UPDATE
    SET changed_at = greatest(series_due.changed_at, excluded.changed_at)
), moved AS (
    UPDATE series_due_cursor SET number = (SELECT max(number) FROM news)
    WHERE EXISTS (SELECT FROM news)
)
SELECT count(*) FROM news
