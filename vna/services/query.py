"""Find records in the index, measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import orjson

from vna import metrics
from vna.dicom.timezones import shown_in, with_partners
from vna.index.search import SearchIndex
from vna.model.identifiers import Origin
from vna.model.query import Page, Query, Record, SearchTimes, UrlParts


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
        with _measured(query, origin):
            yield from self._records(query)

    def page(self, query: Query, url: UrlParts, times: SearchTimes, origin: Origin) -> Page:
        """The first `query.limit` matches as finished objects of the DICOM JSON model with their Retrieve URLs.

        In the order of `find`. Raises InvalidQuery, TooBroad, Unavailable.
        """
        with _measured(query, origin):
            page = self._search.page(_wider(query), url, times)
        show = self._shown(query)
        return page if show is None else replace(page, objects=list(map(show, page.objects)))

    def objects(
        self, query: Query, url: UrlParts, seconds: float, origin: Origin
    ) -> Generator[bytes, None, None]:
        """All matches as `page` gives them, from one moment; closing the iterator ends the query.

        `seconds` is the time limit of each batch. Raises as `page`, also on the way.
        """
        show = self._shown(query)
        with _measured(query, origin):
            for found in self._search.objects(_wider(query), url, seconds):
                yield found if show is None else show(found)

    def _shown(self, query: Query) -> Callable[[bytes], bytes] | None:
        """Shows a finished object by the clocks of the query; None where they are not asked for."""
        minutes = query.utc_offset
        if minutes is None:
            return None

        def show(found: bytes) -> bytes:
            attributes = shown_in(orjson.loads(found), minutes, self._zone)
            return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)

        return show

    def _records(self, query: Query) -> Iterator[Record]:
        minutes = query.utc_offset
        found = self._search.find(_wider(query))
        if minutes is None:
            return found
        return (
            replace(record, attributes=shown_in(record.attributes, minutes, self._zone))
            for record in found
        )


def _wider(query: Query) -> Query:
    """`query` with what it takes to show its dates and times by other clocks."""
    tags = query.return_tags
    if query.utc_offset is None or tags is None:
        return query
    return replace(query, return_tags=with_partners(tags))


@contextlib.contextmanager
def _measured(query: Query, origin: Origin) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        metrics.QUERY_SECONDS.labels(origin.door, query.level.value).observe(seconds)
