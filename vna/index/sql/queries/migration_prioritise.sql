-- Studies that go first, the first of the list before all others.
UPDATE migration_study s SET priority = p.priority
FROM unnest(%(uids)s::text[], %(priorities)s::integer[]) AS p (uid, priority)
WHERE s.campaign = %(campaign)s AND s.study_instance_uid = p.uid
RETURNING s.id
