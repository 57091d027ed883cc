"""Find records in the index, measured."""

from __future__ import annotations

import time
from collections.abc import Generator

from vna import metrics
from vna.index.search import SearchIndex
from vna.model.identifiers import Origin
from vna.model.query import Query, Record


class QueryService:
    """Answers queries from the index alone; no object is opened."""

    def __init__(self, search: SearchIndex) -> None:
        self._search = search

    def find(self, query: Query, origin: Origin) -> Generator[Record, None, None]:
        """Yield the matches in a stable order; closing the iterator ends the query.

        Raises InvalidQuery, Unavailable.
        """
        started = time.perf_counter()
        try:
            yield from self._search.find(query)
        finally:
            seconds = time.perf_counter() - started
            metrics.QUERY_SECONDS.labels(origin.door, query.level.value).observe(seconds)
