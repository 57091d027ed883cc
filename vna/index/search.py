"""Finding records: a query in, records out, a bounded number of them in memory at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import orjson

from vna.dicom.attributes import vr_of
from vna.errors import Unavailable
from vna.index.columns import INSTANCE_AVAILABILITY
from vna.index.database import ATTEMPTS, Database, is_worth_repeating
from vna.index.statement import Statement, build_statement
from vna.model.query import JsonElement, Query, Record

BATCH = 500


class SearchIndex:
    """Answers queries. Shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, query: Query) -> Iterator[Record]:
        """The records that match, newest study first, then by series and instance number; stable with ties.

        A filter on an attribute that the index does not keep is universal (PS3.4 C.2.2.1.3; see
        `columns.is_searchable`). Closing the iterator ends the query and frees its connection. Raises InvalidQuery
        at once; Unavailable at once or on the way.
        """
        statement = build_statement(query)
        rows = self._some(statement) if _is_short(query) else self._streamed(statement)
        return (_record(row, statement, query) for row in rows)

    def _some(self, statement: Statement) -> Iterator[Sequence[Any]]:
        rows = self._database.attempt(
            lambda c: c.execute(statement.text, statement.values, prepare=False).fetchall()
        )
        yield from rows

    def _streamed(self, statement: Statement) -> Iterator[Sequence[Any]]:
        """Rows of a cursor; a connection that turns out to be lost before the first row is replaced."""
        begun = False
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                with contextlib.closing(self._cursor_rows(statement)) as rows:
                    for row in rows:
                        begun = True
                        yield row
            except Unavailable as exc:
                if begun or not attempts_left or not is_worth_repeating(exc):
                    raise
            else:
                return

    def _cursor_rows(self, statement: Statement) -> Generator[Sequence[Any], None, None]:
        """Rows by a cursor of the server; few rows leave the connection free before the first is used."""
        with (
            self._database.connection() as connection,
            connection.transaction(),
            connection.cursor(name="find") as cursor,
        ):
            cursor.execute(statement.text, statement.values)
            rows = cursor.fetchmany(BATCH)
            while len(rows) == BATCH:
                yield from rows
                rows = cursor.fetchmany(BATCH)
        yield from rows


def _is_short(query: Query) -> bool:
    return query.limit is not None and query.limit <= BATCH


def _record(row: Sequence[Any], statement: Statement, query: Query) -> Record:
    found: dict[str, JsonElement] = {}
    position = len(statement.levels)
    for text in row[:position]:
        found.update(orjson.loads(text))
    for tag in statement.tags:
        _put(found, tag, [row[position]])
        position += 1
    for item in statement.computed:
        value = row[position]
        _put(found, item.tag, value if isinstance(value, list) else [value])
        position += 1
    wanted = query.return_tags
    if wanted is None or INSTANCE_AVAILABILITY in wanted:
        _put(found, INSTANCE_AVAILABILITY, ["ONLINE"])
    if wanted is not None:
        keys = ((f"{tag:08X}", tag) for tag in sorted(wanted))
        found = {key: found.get(key) or {"vr": vr_of(tag)} for key, tag in keys}
    return Record(query.level, found)


def _put(found: dict[str, JsonElement], tag: int, values: list[object]) -> None:
    element: JsonElement = {"vr": vr_of(tag)}
    if values and values[0] not in {None, ""}:
        element["Value"] = values
    found[f"{tag:08X}"] = element
