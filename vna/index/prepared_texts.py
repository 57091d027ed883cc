"""Statements that connections keep prepared, run by libpq alone: a fifth of what a cursor of the driver costs."""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors as sql_errors
from psycopg import pq

from vna.index.database import Connection

Value = str | bytes | int | date | Sequence[str]
Parameter = Value | None

_FINE = frozenset(
    {
        pq.ExecStatus.COMMAND_OK,
        pq.ExecStatus.TUPLES_OK,
        pq.ExecStatus.TUPLES_CHUNK,
        pq.ExecStatus.SINGLE_TUPLE,
    }
)


class PreparedTexts:
    """Prepares each statement once for a connection. Shared by threads.

    `most`: the statements that a connection keeps; the one that was used longest ago makes room.
    """

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._known: WeakKeyDictionary[Connection, OrderedDict[bytes, bytes]] = WeakKeyDictionary()

    def run(
        self,
        connection: Connection,
        text: bytes,
        values: Sequence[bytes],
        formats: Sequence[int] | None = None,
        result_format: int = pq.Format.TEXT,
    ) -> pq.abc.PGresult:
        """What `text` gives, a statement of its own transaction with place-holders $1, $2 …

        `values` as `encoded` makes them, of no type that Postgres could not guess; `formats`: which are binary. Raises
        psycopg.Error.
        """

        def attempt() -> pq.abc.PGresult:
            name = self.prepare(connection, text)
            result = connection.pgconn.exec_prepared(name, values, formats, result_format)
            check(connection, result)
            return result

        try:
            return attempt()
        except sql_errors.InvalidSqlStatementName:  # the connection has forgotten its statements
            self.forget(connection)
            return attempt()

    def prepare(self, connection: Connection, text: bytes) -> bytes:
        """The name under which `connection` knows `text`. Raises psycopg.Error."""
        known = self._known.setdefault(connection, OrderedDict())
        name = known.get(text)
        if name is not None:
            known.move_to_end(text)
            return name
        # Named by what it is: whoever else prepares on this connection can mean nothing else by it.
        name = b"vna_" + hashlib.blake2b(text, digest_size=16).hexdigest().encode()
        with contextlib.suppress(sql_errors.DuplicatePreparedStatement):
            check(connection, connection.pgconn.prepare(name, text))
        known[text] = name
        if len(known) > self._most:
            _, oldest = known.popitem(last=False)
            check(connection, connection.pgconn.exec_(b"DEALLOCATE " + oldest))
        return name

    def forget(self, connection: Connection) -> None:
        """Believe nothing of what was prepared on `connection` any more."""
        self._known.pop(connection, None)


def encoded(value: Value) -> bytes:
    """As Postgres reads it: text and bytea raw, everything else as written in SQL."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
        case int():
            return b"%d" % value
        case date():
            return b"%04d-%02d-%02d" % (value.year, value.month, value.day)
        case _:
            quoted = (item.replace("\\", r"\\").replace('"', r"\"") for item in value)
            return ("{" + ",".join(f'"{item}"' for item in quoted) + "}").encode()


def check(connection: Connection, result: pq.abc.PGresult) -> None:
    """Raises psycopg.Error for a result that tells of an error."""
    if not is_fine(result):
        error = sql_errors.error_from_result(result, connection.info.encoding)
        raise error if error.sqlstate else psycopg.OperationalError(str(error))


def is_fine(result: pq.abc.PGresult) -> bool:
    """Whether `result` tells of no error."""
    return result.status in _FINE
