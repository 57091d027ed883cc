"""Lets go who waits for a database server that stands still: it is there, and answers nobody."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import errors as sql_errors

log = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]


class Vigil:
    """Knows since when each connection is in use. Where one has been for `patience` seconds, the server is asked for
    another by `connect`. A server that answers, be it by a refusal, is at work and is waited for on. One that
    does not within the time-out of `connect` has its connections cut, which ends the waiting as a lost one does.

    A network that swallows everything is noticed by the kernel; of a server that was stopped, or is out of memory, the
    kernel itself confirms all that is sent to it.
    """

    def __init__(self, connect: Callable[[], Connection], patience: float) -> None:
        self._connect, self._patience = connect, patience
        self._since: dict[Connection, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="vna-index-vigil", daemon=True).start()

    @contextlib.contextmanager
    def over(self, connection: Connection) -> Iterator[None]:
        """Within this, `connection` is in use by somebody who may wait for it."""
        self._since[connection] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:  # from here on it may be closed, and its descriptor be another's
                del self._since[connection]

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(self._patience / 2):
            if self._overdue():
                self._look()

    def _look(self) -> None:
        try:
            self._connect().close()
        except sql_errors.ConnectionTimeout as exc:
            log.warning("the database stands still; who waits for it is told so: %s", exc)
            with self._lock:
                for connection in self._overdue():
                    _cut(connection)
        except psycopg.Error as exc:
            log.warning("the database was asked whether it stands up, and refused: %s", exc)

    def _overdue(self) -> list[Connection]:
        latest = time.monotonic() - self._patience
        return [connection for connection, since in list(self._since.items()) if since <= latest]


def _cut(connection: Connection) -> None:
    """End both directions: who waits on the socket wakes up and finds it closed."""
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as other,
    ):
        other.shutdown(socket.SHUT_RDWR)
