"""The version of the archive before differences, as far as its statements go; they are kept in statements/version_8."""

from __future__ import annotations

from pathlib import Path
from typing import Any, LiteralString

from storage_backends.base import Digest
from tests.index.samples import ORIGIN
from vna.index.database import Database
from vna.index.jobs_schema import upgrade_jobs
from vna.index.prepared import PreparedCall
from vna.index.registering import parameters_of
from vna.index.sql import load, upgrade_names
from vna.index.upgrade import _remember
from vna.model.identifiers import InstanceUids
from vna.model.instances import NewInstance

FOLDER = Path(__file__).parent / "statements" / "version_8"
VERSION = 8


def text(name: str) -> LiteralString:
    """One of its statements."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def make_schema(database: Database) -> None:
    """Its schema in an empty database."""
    with database.connection() as connection:
        for name in upgrade_names()[:VERSION]:
            connection.execute(load(f"upgrades/{name}"))
            _remember(connection, name)
        upgrade_jobs(connection)


class Version8:
    """What it asks of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._register = PreparedCall(text("register"))

    def register(self, new: NewInstance, known_series: int | None = None) -> tuple[str, int]:
        """The outcome and the id of the series."""
        values = parameters_of(new, ORIGIN)[:29]
        if known_series is not None:
            values[7:10], values[26:28], values[28] = [None] * 3, [None] * 2, known_series
        with self._database.connection() as connection:
            outcome, *_, series = self._register.row(connection, values, lambda: None)
        assert outcome is not None
        return outcome.decode(), int(series or 0)

    def rows(self, name: str, values: Any = ()) -> list[tuple[Any, ...]]:
        """All rows that the statement of that name gives, if any."""
        with self._database.connection() as connection:
            cursor = connection.execute(text(name), values)
            return cursor.fetchall() if cursor.description else []

    def changes(self) -> list[tuple[str, InstanceUids]]:
        """Action and UIDs of every change."""
        self.rows("changes_number", [1000])
        rows = self.rows("changes_read", [0, 1000])
        return [(row[2], InstanceUids(*row[3:6])) for row in rows]

    def kept(self, uid: str, digest: Digest, syntax: str) -> int:
        """How many versions of an instance have that digest."""
        packed = digest.algorithm.encode() + b":" + bytes.fromhex(digest.value)
        return len(self.rows("kept_copy", {"uid": uid, "digest": packed, "syntax": syntax}))
