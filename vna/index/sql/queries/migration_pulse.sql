-- A sign of life, and what is to be done. No row: others hold this worker for dead, or the campaign is gone. Who works on
-- campaigns of the same source counts together, as far as there is work; when these are several their ranks go round by the minute.
WITH me AS (
    UPDATE migration_worker SET seen_at = now(), active = %(active)s, pace = %(pace)s, note = %(note)s
    WHERE id = %(worker)s RETURNING id, campaign),
known AS (
    SELECT c.id, c.state, c.settings, concat_ws(' ', c.source ->> 'kind', lower(c.source #>> '{options,host}'),
        c.source #>> '{options,port}', rtrim(lower(c.source #>> '{options,url}'), '/'),
        lower(c.source #>> '{options,endpoint}'), c.source #>> '{options,bucket}', c.source #>> '{options,path}') AS address
    FROM campaign c),
mine AS (SELECT k.* FROM known k JOIN me ON k.id = me.campaign),
same AS (
    SELECT k.id, k.settings, k.id <> mine.id AND k.state = 'running' AS is_other,
        EXISTS (SELECT FROM migration_study s WHERE s.campaign = k.id AND s.state = 'queued')
        OR EXISTS (SELECT FROM migration_worker w WHERE w.campaign = k.id AND w.active > 0
            AND w.seen_at > now() - make_interval(secs => %(lease)s)) AS has_work
    FROM known k JOIN mine ON k.id = mine.id OR k.address = mine.address AND k.state <> 'new'),
others AS (
    SELECT w.id, w.active, w.campaign, w.active > 0 OR s.has_work AS counts FROM migration_worker w
    JOIN same s ON s.id = w.campaign JOIN me ON w.id <> me.id
    WHERE w.seen_at > now() - make_interval(secs => %(lease)s)),
sums AS (
    SELECT 1 + count(*) FILTER (WHERE counts) AS workers, count(*) FILTER (WHERE counts AND o.id < me.id) AS rank,
        coalesce(sum(active), 0) AS active, count(*) FILTER (WHERE counts AND o.campaign <> me.campaign) AS strangers
    FROM others o CROSS JOIN me)
SELECT mine.state, mine.settings, sums.workers, CASE WHEN strangers = 0 THEN rank
    ELSE (rank + extract(epoch FROM now())::bigint / 60) %% workers END, sums.active,
    (SELECT coalesce(jsonb_agg(s.settings), '[]') FROM same s WHERE s.is_other AND s.has_work)
FROM mine CROSS JOIN sums
