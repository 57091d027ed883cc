"""The index as it was at one moment, for whoever reads long."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from typing import Any, TypeVar

import psycopg

from vna.index.database import Connection, Database, translated
from vna.index.sql import load

T = TypeVar("T")
_AT_ONCE = 2000


class Snapshot(Database):
    """Whatever takes a Database and only reads sees one moment with this: what is committed later it does not see.

    For one thread. A lost connection ends it: there is no other of the same moment.
    """

    def __init__(self, database: Database, connection: Connection, moment: datetime) -> None:
        super().__init__(database.url, database.pool_size)
        self._only = connection
        self._cursors: set[psycopg.ServerCursor[Any]] = set()
        self._count = count()
        self.moment = moment

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """The one connection."""
        with translated():
            yield self._only

    def attempt(self, operation: Callable[[Connection], T]) -> T:
        """`operation`, once."""
        with self.connection() as connection:
            return operation(connection)

    def rows(self, query: str, **values: object) -> Iterator[dict[str, Any]]:
        """What the SQL file `query` finds, by the names of its columns; some rows at a time are in memory."""
        with translated():
            cursor = self._only.cursor(name=f"snapshot_{next(self._count)}")
            self._cursors.add(cursor)
            cursor.itersize = _AT_ONCE
            cursor.execute(load(f"queries/{query}"), values)
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                yield dict(zip(names, row, strict=True))
            cursor.close()
            self._cursors.discard(cursor)

    def end(self) -> None:
        """Nothing is read from it any more: also not by rows that nobody has read to their end."""
        for cursor in self._cursors:
            cursor.close()


@contextlib.contextmanager
def snapshot(database: Database) -> Iterator[Snapshot]:
    """The index as it is now, for as long as it takes. Raises Unavailable."""
    with database.connection() as connection, connection.transaction():
        connection.execute(load("queries/snapshot_begin"))
        row = connection.execute(load("queries/snapshot_moment")).fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has a row
        found = Snapshot(database, connection, row[1])
        try:
            yield found
        finally:
            found.end()
