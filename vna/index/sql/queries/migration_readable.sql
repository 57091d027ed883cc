-- What an earlier inventory could not read, and this one did not stumble over, is gone or was read.
UPDATE migration_instance i SET state = 'excluded', reason = 'gone-from-source'
FROM migration_study s
WHERE s.campaign = %(campaign)s AND s.study_instance_uid = '' AND i.study = s.id AND i.seen < %(number)s
    AND i.state = 'parked'
