"""The feed of changes in Postgres: numbered by whoever reads, in the order of their commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vna.index.database import Connection, Database
from vna.index.sql import load
from vna.model.changes import Change, ChangeAction, ChangePage
from vna.model.identifiers import InstanceUids

BATCH = 10_000
"""Changes that get their numbers in one transaction."""


class ChangeIndex:
    """Reads and numbers changes. Shared by all threads; everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(self, number: int, limit: int) -> ChangePage:
        """Up to `limit` changes behind `number`, all that were committed before the call among them."""
        rows = self._database.attempt(lambda c: _read(c, number, limit))
        oldest, newest = self._database.attempt(_bounds)
        return ChangePage(tuple(map(_change, rows)), oldest, newest)

    def number(self) -> int:
        """Number what waits for it; how many changes that were. Harmless on several nodes at once."""
        total = 0
        while count := self._database.attempt(_number):
            total += count
        return total

    def forget(self, days: int) -> None:
        """Forget changes that are older than `days` days, the last one excepted."""
        self._database.attempt(lambda c: c.execute(load("queries/changes_forget"), [days]))


def _read(connection: Connection, number: int, limit: int) -> list[Any]:
    """Old changes need no numbering: only who comes to the end looks for new ones, and then again for those that
    somebody else has numbered meanwhile.
    """
    numbered = -1
    while True:
        rows = connection.execute(load("queries/changes_read"), [number, limit]).fetchall()
        if len(rows) >= limit > 0 or numbered == 0:
            return rows
        numbered = _number(connection)


def _number(connection: Connection) -> int:
    row = connection.execute(load("queries/changes_number"), [BATCH]).fetchone()
    return 0 if row is None else int(row[0])


def _bounds(connection: Connection) -> tuple[int, int]:
    row = connection.execute(load("queries/changes_bounds")).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def _change(row: Sequence[Any]) -> Change:
    return Change(row[0], row[1], ChangeAction(row[2]), InstanceUids(*row[3:6]))
