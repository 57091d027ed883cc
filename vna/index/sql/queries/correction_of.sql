-- By what the visible instance of a SOP Instance UID is corrected.
SELECT correction FROM instance WHERE sop_instance_uid = %s
