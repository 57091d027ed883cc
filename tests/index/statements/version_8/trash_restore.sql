-- Makes what one request deleted visible again.
SELECT restored, duplicates, conflicts FROM restore_trash(%s, %s, %s, %s, %s)
