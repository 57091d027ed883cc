-- What the instances of a campaign are, and what became of them: by SOP class, transfer syntax, outcome, evidence, rules.
SELECT grouping(sop_class_uid, transfer_syntax_uid, outcome, evidence, rules) AS grouping,
    coalesce(sop_class_uid, transfer_syntax_uid, outcome, evidence, rules::text, '') AS value, count(*) AS instances,
    count(*) FILTER (WHERE state = 'verified') AS verified, coalesce(sum(coalesce(received_size, size)), 0)::bigint AS bytes
FROM migration_instance WHERE campaign = %(campaign)s
GROUP BY GROUPING SETS ((sop_class_uid), (transfer_syntax_uid), (outcome), (evidence), (rules))
ORDER BY 1, 3 DESC, 2
