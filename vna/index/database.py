"""Connections to Postgres; the driver's errors become the archive's here."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self, TypeVar

import psycopg
import psycopg_pool
from psycopg import errors as sql_errors
from psycopg.rows import TupleRow

from vna.errors import Abandoned, ConfigError, OutOfSpace, Unavailable, VnaError
from vna.index.sql import newest_upgrade
from vna.index.vigil import Vigil
from vna.interrupts import current_interrupt

Connection = psycopg.Connection[TupleRow]
T = TypeVar("T")

ATTEMPTS = 4
PATIENCE = 20.0
_CANCEL_SECONDS = 5.0
# Seconds (milliseconds for tcp_user_timeout) after which a database that the network has swallowed counts as gone.
NETWORK = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_NOT_NOW = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    sql_errors.ReadOnlySqlTransaction,
)


class _Watched(NamedTuple):
    """The connections of one process, and who watches over those that are in use."""

    pool: psycopg_pool.ConnectionPool[Connection]
    vigil: Vigil


class Database:
    """A pool of connections to the index. Shared by all threads; a forked process gets a pool of its own.

    `url` is a libpq URL; `pool_size` the most connections of one process; `connect_timeout` in seconds, as is
    `patience`, after which a server is asked whether it still stands up.
    """

    def __init__(
        self,
        url: str,
        pool_size: int = 16,
        connect_timeout: float = 10.0,
        patience: float = PATIENCE,
    ) -> None:
        self.url = url
        self.pool_size = pool_size
        self._connect_timeout = connect_timeout
        self._patience = patience
        self._lock = threading.Lock()
        self._pools: dict[int, _Watched] = {}
        self._closed = False

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in autocommit mode; several statements belong together in `with c.transaction():`.

        Raises Unavailable (no answer, connection lost, time-out), OutOfSpace, or VnaError for what Postgres
        refuses. After a lost connection the others of the pool are replaced too. What runs when the thread's
        Interrupt is set is cancelled: Abandoned.
        """
        pool, vigil = self._pool()
        with translated():
            connection = pool.getconn(self._connect_timeout)
            try:
                with vigil.over(connection), _cancellable(connection):
                    yield connection
            except psycopg.Error:
                if connection.broken:
                    pool.drain()
                raise
            finally:
                pool.putconn(connection)

    def attempt(self, operation: Callable[[Connection], T]) -> T:
        """`operation` in its connection, again when the connection was lost or another transaction stood in the way.

        `operation` must be harmless to repeat, even where its first commit was not confirmed.
        Raises what `connection` raises.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                with self.connection() as connection:
                    return operation(connection)
            except Unavailable as exc:
                if not is_worth_repeating(exc):
                    raise
        with self.connection() as connection:
            return operation(connection)

    def ping(self) -> None:
        """Ask the server something. Raises Unavailable."""
        self.attempt(lambda connection: connection.execute("SELECT 1").fetchone())

    def close(self) -> None:
        """Close this process's connections; a second call does nothing."""
        with self._lock:
            self._closed = True
            watched = self._pools.pop(os.getpid(), None)
        if watched is not None:
            watched.vigil.end()
            watched.pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _pool(self) -> _Watched:
        watched = self._pools.get(os.getpid())
        return watched if watched is not None else self._open()

    def _open(self) -> _Watched:
        with self._lock:
            if self._closed:
                raise Unavailable("the index is closed: the archive is stopping")
            watched = self._pools.get(os.getpid())
            if watched is None:
                # The pool of a parent process stays in the dictionary, untouched: its sockets are the parent's.
                options = self._options()
                watched = _Watched(
                    self._new_pool(options),
                    Vigil(lambda: psycopg.connect(self.url, **options), self._patience),
                )
                self._pools[os.getpid()] = watched
        return watched

    def _options(self) -> dict[str, Any]:
        """What each connection is opened with. Raises ConfigError."""
        options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 2}
        options["connect_timeout"] = max(2, int(self._connect_timeout))
        # By it a post upgrade sees which versions serve.
        options["application_name"] = f"vna/{newest_upgrade()}"
        options |= NETWORK
        try:
            psycopg.conninfo.conninfo_to_dict(self.url)
        except psycopg.ProgrammingError as exc:
            raise ConfigError(f"[database] url is not a Postgres URL: {exc}") from exc
        return options | NETWORK

    def _new_pool(self, options: dict[str, Any]) -> psycopg_pool.ConnectionPool[Connection]:
        return psycopg_pool.ConnectionPool(
            self.url,
            kwargs=options,
            min_size=1,
            max_size=max(1, self.pool_size),
            timeout=self._connect_timeout,
            reconnect_timeout=self._connect_timeout,
            num_workers=1,
            open=True,
            name="vna-index",
            configure=_make_commits_durable,
        )


def _make_commits_durable(connection: Connection) -> None:
    """What was acknowledged must survive a crash of the server, whatever it was configured for."""
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )


@contextlib.contextmanager
def _cancellable(connection: Connection) -> Iterator[None]:
    """Let the Interrupt of this thread, if it has one, cancel what runs on `connection`."""
    interrupt = current_interrupt()
    if interrupt is None:
        yield
        return
    with interrupt.during(lambda: _cancel(connection)):
        try:
            yield
        except sql_errors.QueryCanceled as exc:
            if interrupt.is_set:
                raise Abandoned("the query was cancelled: nobody waits for it any more") from exc
            raise


def _cancel(connection: Connection) -> None:
    with contextlib.suppress(psycopg.Error):  # it goes on then, for nobody
        connection.cancel_safe(timeout=_CANCEL_SECONDS)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into the archive's."""
    try:
        yield
    except (sql_errors.DiskFull, sql_errors.OutOfMemory) as exc:
        raise OutOfSpace(f"the database has no room left: {_reason(exc)}") from exc
    except psycopg_pool.PoolTimeout as exc:
        raise Unavailable(
            f"no connection to the database ({exc}): does it run, and is [database] pool_size large enough?"
        ) from exc
    except sql_errors.ForeignKeyViolation as exc:
        raise Unavailable("what this belongs to was deleted at this moment; try again") from exc
    except _NOT_NOW as exc:
        raise Unavailable(f"the database does not answer: {_reason(exc)}") from exc
    except psycopg.Error as exc:
        raise VnaError(f"the database refused ({exc.sqlstate}): {_reason(exc)}") from exc


def is_worth_repeating(error: Unavailable) -> bool:
    """A lost connection (no SQLSTATE, or class 08 or 57P) or a transaction in the way: class 40, or one that deleted
    what a foreign key leads to (23503).
    """
    cause = error.__cause__
    if isinstance(error, OutOfSpace) or isinstance(cause, psycopg_pool.PoolTimeout):
        return False
    if not isinstance(cause, psycopg.Error):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "40", "57P", "23503"))


def _reason(exc: psycopg.Error) -> str:
    """The primary message only: details quote values, which may be a patient's."""
    return exc.diag.message_primary or str(exc).strip() or type(exc).__name__
