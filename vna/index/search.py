"""Finding records: a query in, records out, a bounded number of them in memory at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from vna.errors import Unavailable
from vna.index.database import ATTEMPTS, Database, is_worth_repeating
from vna.index.pages import SearchPages
from vna.index.statement import Statement, TextStatement, build_pages, build_statement
from vna.index.timed import limit_time, too_broad
from vna.model.query import Page, Query, Record, SearchTimes, UrlParts

BATCH = 500


class SearchIndex:
    """Answers queries. Shared by all threads."""

    def __init__(self, database: Database, zone: str = "") -> None:
        """`zone`: the IANA name of the time zone of objects that do not tell theirs; "": that of a query."""
        self._database = database
        self._zone = zone
        self._pages = SearchPages(database, zone)

    def find(self, query: Query) -> Iterator[Record]:
        """The records that match, newest study first, then by series and instance number; stable with ties.

        A filter on an attribute that the index does not keep is universal (PS3.4 C.2.2.1.3; see
        `columns.is_searchable`). Closing the iterator ends the query and frees its connection. Raises InvalidQuery
        at once; Unavailable at once or on the way.
        """
        statement = build_statement(query, self._zone, BATCH + 1)
        if query.limit is not None and query.limit <= BATCH:
            rows = self._at_once(statement, statement.text)
        elif statement.is_keyed:
            rows = self._few_or_streamed(statement)
        else:
            rows = self._streamed(statement, query.fuzzy)
        attributes_of, level = statement.outputs.attributes_of, query.level
        return (Record(level, attributes_of(row)) for row in rows)

    def page(self, query: Query, url: UrlParts, times: SearchTimes) -> Page:
        """The first `query.limit` matches as finished objects, see `SearchPages.page`."""
        return self._pages.page(query, url, times)

    def objects(self, query: Query, url: UrlParts, seconds: float) -> Iterator[bytes]:
        """The matches as finished objects of the DICOM JSON model, in the order of `find`.

        `seconds`: in which the first must be found. Closing the iterator ends the query. Raises as `find`, and
        TooBroad.
        """
        with too_broad(seconds):
            for statement in build_pages(query, self._zone, url):
                for row in self._streamed(statement, for_all_rows=True, seconds=seconds):
                    yield row[0].encode()

    def _at_once(self, statement: Statement, text: bytes) -> Iterator[Sequence[Any]]:
        yield from self._fetched(statement, text)

    def _few_or_streamed(self, statement: Statement) -> Iterator[Sequence[Any]]:
        """One round trip for all where they are few; only where there are more it begins anew with a cursor."""
        rows = self._fetched(statement, statement.first)
        if len(rows) <= BATCH:
            yield from rows
        else:
            yield from self._streamed(statement, for_all_rows=False)

    def _fetched(self, statement: Statement, text: bytes) -> list[Sequence[Any]]:
        """All rows; planned for every request, except where one plan suits all values."""
        return self._database.attempt(
            lambda c: list(c.execute(text, statement.values, prepare=statement.is_keyed).fetchall())
        )

    def _streamed(
        self, statement: Statement | TextStatement, for_all_rows: bool, seconds: float = 0.0
    ) -> Iterator[Sequence[Any]]:
        """Rows of a cursor; a connection that turns out to be lost before the first row is replaced.

        `seconds`: the time limit of each batch, 0 for none.

        `for_all_rows`: planned for the last row. By default Postgres plans cursors for the first tenth, and would
        rather go through all studies by date than sort those of one name.
        """
        begun = False
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                found = self._cursor_rows(statement, for_all_rows, seconds)
                with contextlib.closing(found) as rows:
                    for row in rows:
                        begun = True
                        yield row
            except Unavailable as exc:
                if begun or not attempts_left or not is_worth_repeating(exc):
                    raise
            else:
                return

    def _cursor_rows(
        self, statement: Statement | TextStatement, for_all_rows: bool, seconds: float
    ) -> Generator[Sequence[Any], None, None]:
        """Rows by a cursor of the server; few rows leave the connection free before the first is used."""
        with (
            self._database.connection() as connection,
            connection.transaction(),
            connection.cursor(name="find") as cursor,
        ):
            if for_all_rows:
                connection.execute("SET LOCAL cursor_tuple_fraction = 1.0")
            if seconds:
                limit_time(connection, seconds)
            cursor.execute(statement.text, statement.values)
            rows = cursor.fetchmany(BATCH)
            while len(rows) == BATCH:
                yield from rows
                rows = cursor.fetchmany(BATCH)
        yield from rows
