"""Pages of a search: finished objects, the place of the next page, the number of all matches."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import psycopg
from psycopg import pq
from psycopg.rows import TupleRow

from vna.errors import TooBroad, Unavailable
from vna.index.counts import Count, Counts
from vna.index.database import Connection, Database
from vna.index.keyed_pages import keyed_page
from vna.index.positions import position_of
from vna.index.prepared_texts import PreparedTexts
from vna.index.statement import TextStatement, build_count, build_pages
from vna.index.timed import limit_time, too_broad
from vna.model.query import Page, Position, Query, SearchTimes, UrlParts

_Row = tuple[pq.abc.PGresult, int]


class SearchPages:
    """Answers searches page by page, each page from one moment. Shared by all threads."""

    def __init__(self, database: Database, zone: str = "") -> None:
        """`zone`: the IANA name of the time zone of objects that do not tell theirs; "": that of a query."""
        self._database = database
        self._zone = zone
        self._counts = Counts()
        self._prepared = PreparedTexts()

    def page(self, query: Query, url: UrlParts, times: SearchTimes) -> Page:
        """The first `query.limit` matches behind `query.after` and `query.offset`.

        What is stored or deleted between two pages makes no other match come twice or get lost. The total is exact
        at its moment; it is free where the page tells it, else counted. Raises InvalidQuery, Unavailable, TooBroad.
        """
        limit = query.limit or 0
        rows = self._rows(replace(query, limit=limit + 1), url, times.search) if limit else []
        has_more = len(rows) > limit
        following = _position(rows[limit - 1]) if has_more else None
        objects = [result.get_value(row, 0) or b"" for result, row in rows[:limit]]
        if query.after is None and limit and not has_more and (objects or not query.offset):
            return Page(objects, None, query.offset + len(objects))
        return Page(objects, following, self._count(query, times.count))

    def _rows(self, query: Query, url: UrlParts, seconds: float) -> list[_Row]:
        """As many matches as there are, up to `query.limit`."""
        keyed = keyed_page(query, url)
        if keyed is not None:
            result = self._database.attempt(
                lambda c: self._prepared.run(c, keyed.text, keyed.values)
            )
            return [(result, row) for row in range(result.ntuples)]
        found: list[_Row] = []
        with too_broad(seconds):
            for statement in build_pages(query, self._zone, url):
                if len(found) < (query.limit or 0):
                    result = self._run(statement, seconds)
                    found += [(result, row) for row in range(result.ntuples)]
        return found[: query.limit]

    def _count(self, query: Query, seconds: float) -> int | None:
        """The number of all matches; None where it takes too long, or did so a short while ago."""
        if seconds <= 0:
            return None
        known = self._counts.last(query)
        statement = build_count(query, self._zone, known.moment)
        if self._counts.is_slow(statement.text):
            return None
        try:
            with too_broad(seconds):
                result = self._run(statement, seconds)
        except TooBroad:
            self._counts.keep_slow(statement.text)
            return None
        moment, number = result.get_value(0, 0), result.get_value(0, 1)
        if moment is None or number is None:  # nothing has been committed since
            return known.number
        self._counts.keep(query, Count(moment.decode(), int(number)))
        return int(number)

    def _run(self, statement: TextStatement, seconds: float) -> pq.abc.PGresult:
        def run(connection: Connection) -> pq.abc.PGresult:
            with contextlib.ExitStack() as limited:
                if not statement.is_bounded:  # one round trip all the same
                    limited.enter_context(connection.pipeline())
                    limited.enter_context(connection.transaction())
                    limit_time(connection, seconds)
                cursor = connection.execute(
                    statement.text, statement.values, prepare=statement.is_prepared
                )
            return _result(cursor)

        return self._database.attempt(run)


def _result(cursor: psycopg.Cursor[TupleRow]) -> pq.abc.PGresult:
    """The rows as Postgres sent them: psycopg would make each text a str."""
    if cursor.pgresult is None:
        raise Unavailable("the database answered a search with nothing")
    return cursor.pgresult


def _position(row: _Row) -> Position:
    result, number = row
    return position_of([result.get_value(number, column) for column in range(1, result.nfields)])
