-- Whether there is a document of a series in just this state.
SELECT 1 FROM series_document WHERE series = %s AND state = %s AND version = %s
