-- Whether a backend is named still, and how much is left behind in it.
SELECT EXISTS (SELECT FROM location WHERE backend = %(backend)s)::integer,
    EXISTS (SELECT FROM copy WHERE backend = %(backend)s)::integer,
    count(*) FILTER (WHERE NOT is_damaged), count(*) FILTER (WHERE is_damaged)
FROM left_object WHERE backend = %(backend)s
