-- Has the instances of some more series keep differences.
SELECT series_seen, instances FROM rewrite_instances(%s)
