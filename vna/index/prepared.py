"""A call in a transaction of its own, whose commit waits for something outside of the database."""

from __future__ import annotations

import itertools
import re
import select
from collections.abc import Callable, Sequence
from typing import LiteralString

import psycopg
from psycopg import errors as sql_errors
from psycopg import pq

from vna.index.database import Connection
from vna.index.prepared_texts import Parameter, PreparedTexts, check, encoded, is_fine

Row = list[bytes | None]

_RAW = frozenset({"text", "bytea"})  # sent as they are; Postgres itself refuses what is no text
_PLACEHOLDER = re.compile(r"%s::(\w+(?:\[\])?)")


class PreparedCall:
    """A statement that answers with one row, prepared once per connection. Shared by threads.

    `text` marks each parameter as %s with the cast to its type behind it.
    """

    def __init__(self, text: LiteralString) -> None:
        numbers = itertools.count(1)
        self._formats = [int(kind in _RAW) for kind in _PLACEHOLDER.findall(text)]
        self._text = re.sub("%s", lambda _: f"${next(numbers)}", text).encode()
        self._texts = PreparedTexts()

    def row(
        self,
        connection: Connection,
        parameters: Sequence[Parameter],
        before_commit: Callable[[], object],
    ) -> Row:
        """The row, its values as Postgres writes them.

        `before_commit` runs while Postgres works, at least once; what it did must be harmless to find done already.
        The transaction commits only after it has returned; what it raises comes out, and nothing is committed then.
        Raises psycopg.Error; a commit may have reached the database then.
        """
        values = [None if value is None else encoded(value) for value in parameters]
        try:
            return self._attempt(connection, values, before_commit)
        except sql_errors.InvalidSqlStatementName:  # the connection has forgotten its statements
            self._texts.forget(connection)
            return self._attempt(connection, values, before_commit)

    def _attempt(
        self,
        connection: Connection,
        values: Sequence[bytes | None],
        before_commit: Callable[[], object],
    ) -> Row:
        server = connection.pgconn
        name = self._texts.prepare(connection, self._text)
        try:
            # One transaction reaches from here to the sync: a connection that ends before it rolls back.
            server.enter_pipeline_mode()
            server.send_query_prepared(name, values, self._formats)
            server.send_flush_request()
            _flush(server)
            before_commit()
            server.pipeline_sync()
            _flush(server)
            result = _result_before_sync(server)
            server.exit_pipeline_mode()
        except BaseException:
            if server.status == pq.ConnStatus.OK:  # one that broke is left to the pool to see
                connection.close()
            raise
        check(connection, result)
        return [result.get_value(0, column) for column in range(result.nfields)]


def _flush(server: pq.abc.PGconn) -> None:
    """Send what is queued; a server that answers meanwhile is heard, so that neither waits for the other."""
    while server.flush():
        waiting = select.poll()
        waiting.register(server.socket, select.POLLIN | select.POLLOUT)
        if any(event & select.POLLIN for _, event in waiting.poll()):
            server.consume_input()


def _result_before_sync(server: pq.abc.PGconn) -> pq.abc.PGresult:
    """The result of the one call, after the synchronisation behind it has been reached: its fate is known."""
    waiting = select.poll()
    waiting.register(server.socket, select.POLLIN)
    found: list[pq.abc.PGresult] = []
    is_end = False
    while True:
        while server.is_busy():
            waiting.poll()
            server.consume_input()
        result = server.get_result()
        if result is None:
            if is_end or not found:
                raise psycopg.OperationalError(
                    server.get_error_message() or "the connection was lost"
                )
            is_end = True
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            return _row_among(found)
        else:
            is_end = False
            found.append(result)


def _row_among(results: Sequence[pq.abc.PGresult]) -> pq.abc.PGresult:
    """The one that has the row, or the error that came instead or behind it.

    libpq forgets to leave the row-by-row mode of an earlier query when a pipeline begins on the same connection: the
    row comes in a result of its own then, and an empty one follows.
    """
    if not is_fine(results[-1]):
        return results[-1]
    for result in results:
        if result.ntuples:
            return result
    raise psycopg.OperationalError("the statement was answered without a row")
