-- What fetches of some studies brought, as a certificate tells of it.
SELECT a.study, a.number, a.asked, a.taken, a.taken_bytes, a.seconds, a.ended_at, a.worker, a.said
FROM migration_attempt a
WHERE a.study = ANY(%(studies)s)
ORDER BY a.study, a.ended_at, a.number
