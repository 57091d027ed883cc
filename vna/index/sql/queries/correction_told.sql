-- By what an object is corrected that no row names, as a backup told it.
SELECT correction FROM told_correction WHERE object_digest = %s
