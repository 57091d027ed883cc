-- Some objects that rows name, from pages of the table that are chosen at random.
SELECT owner, study_instance_uid, series_instance_uid, sop_instance_uid, backend, key, "offset", length, object_digest
FROM named_object
WHERE (key, "offset", backend) IN (
    SELECT key, "offset", backend FROM location TABLESAMPLE SYSTEM (%(percent)s) ORDER BY random() LIMIT %(count)s)
