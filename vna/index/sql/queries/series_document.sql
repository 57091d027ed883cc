-- The document of a series in just this state.
SELECT root, body FROM series_document WHERE series = %s AND state = %s AND version = %s
