"""Find records in the index, measured."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace

from vna import metrics
from vna.dicom.timezones import shown_in, with_partners
from vna.index.search import SearchIndex
from vna.model.identifiers import Origin
from vna.model.query import Query, Record


class QueryService:
    """Answers queries from the index alone; no object is opened."""

    def __init__(self, search: SearchIndex, zone: str = "") -> None:
        """`zone`: the IANA name of the time zone of objects that do not tell theirs; "": that of a query."""
        self._search = search
        self._zone = zone

    def find(self, query: Query, origin: Origin) -> Generator[Record, None, None]:
        """Yield the matches in a stable order; closing the iterator ends the query.

        With `query.utc_offset` the records show their dates and times by those clocks, and may have
        more attributes than were asked for. Raises InvalidQuery, Unavailable.
        """
        started = time.perf_counter()
        try:
            yield from self._records(query)
        finally:
            seconds = time.perf_counter() - started
            metrics.QUERY_SECONDS.labels(origin.door, query.level.value).observe(seconds)

    def _records(self, query: Query) -> Iterator[Record]:
        minutes = query.utc_offset
        if minutes is None:
            return self._search.find(query)
        tags = query.return_tags
        wider = replace(query, return_tags=tags if tags is None else with_partners(tags))
        return (
            replace(record, attributes=shown_in(record.attributes, minutes, self._zone))
            for record in self._search.find(wider)
        )
