-- What a search at the level of instances reads of their attributes.
SELECT i.sop_instance_uid, i.attributes::text, i.attributes -> '00200013' -> 'Value' ->> 0
FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study
ORDER BY i.sop_instance_uid
