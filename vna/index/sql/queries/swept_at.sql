-- When an instance was last removed for good, in seconds since the epoch; NULL: never. The line about the sweep does not
-- name a series that was deleted alone, the one about its deletion does.
SELECT extract(epoch FROM max(w.at))::float8
FROM audit_line w
WHERE w.study_instance_uid = %(study)s AND w.action = 'instances.swept'
    AND w.sop_instance_uid IN ('', %(uid)s) AND w.detail ->> 'instances' <> '0'
    AND NOT EXISTS (
        SELECT FROM audit_line d
        WHERE d.study_instance_uid = %(study)s AND d.action = 'instances.deleted'
            AND d.detail ->> 'trash' = w.detail ->> 'trash' AND d.detail ->> 'series' <> %(series)s)
