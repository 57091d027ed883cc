"""The embedded Postgres of a data directory, shared by every process that uses that directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import quote

import psycopg

from vna.errors import ConfigError, Unavailable
from vna.index.account import Account
from vna.index.cluster import DATABASE_USER, Cluster, binaries

DATABASE_NAME = "vna"
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


class EmbeddedPostgres:
    """One use of the Postgres below `data_dir`/postgres; the last user to leave stops the server.

    Users hold a shared lock on `users.lock`, which the kernel drops when they die, however they die; `start.lock`
    is held while somebody starts or stops. A server whose users were all killed is taken over by the next one.
    """

    def __init__(self, cluster: Cluster, users: int, url: str) -> None:
        self._cluster = cluster
        self._users = users
        self._process_id = os.getpid()
        self.url = url

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *,
        settings: Mapping[str, str] = _NO_SETTINGS,
        timeout: float = 3600.0,
    ) -> Self:
        """Make the cluster if there is none, start its server unless one runs, wait until it answers.

        `settings` go into the server's configuration when this call starts it; `timeout` (seconds) covers a
        crash recovery. Raises ConfigError when the directory can't be used, Unavailable when Postgres fails.
        """
        root = _prepare(data_dir)
        with _locked(root / "start.lock"):
            users = _open_lock(root / "users.lock")
            try:
                cluster = _cluster(root)
                cluster.initialise()
                url = _url(_serve(cluster, settings, timeout))
                fcntl.flock(users, fcntl.LOCK_SH)
            except BaseException:
                os.close(users)
                raise
        return cls(cluster, users, url)

    def revive(self, *, timeout: float = 3600.0) -> bool:
        """Start the server again if it has died; True when this call did. Raises Unavailable."""
        if self._cluster.socket_directory() is not None:
            return False
        with _locked(self._cluster.root / "start.lock"):
            if self._cluster.socket_directory() is not None:
                return False
            _serve(self._cluster, _NO_SETTINGS, timeout)
            return True

    def release(self) -> bool:
        """Leave; the last user stops the server. True when this call stopped it. A second call does nothing.

        In a forked child it does nothing either: the lock belongs to the process that called `start`.
        """
        if self._users < 0 or os.getpid() != self._process_id:
            return False
        users, self._users = self._users, -1
        try:
            with _locked(self._cluster.root / "start.lock"):
                if not _try_exclusive(users):
                    return False
                self._cluster.stop()
                return True
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            os.close(users)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()


def _prepare(data_dir: Path) -> Path:
    root = data_dir.expanduser().resolve() / "postgres"
    try:
        root.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"cannot create {root}: {exc.strerror}") from exc
    return root


def _cluster(root: Path) -> Cluster:
    programs = binaries()
    return Cluster(root, Account.current().reaching(root, programs / "postgres"), programs)


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise ConfigError(
            f"cannot open {path}: {exc.strerror}; run the archive's commands as the user who owns the data directory"
        ) from exc


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = _open_lock(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _try_exclusive(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _url(sockets: Path, database: str = DATABASE_NAME) -> str:
    return f"postgresql://{DATABASE_USER}@/{database}?host={quote(str(sockets), safe='')}"


def _serve(cluster: Cluster, settings: Mapping[str, str], timeout: float) -> Path:
    """The socket directory of a server that answers: the one that runs, or a new one.

    A server found running may still recover, or just stop, because whoever started it was killed.
    """
    deadline = time.monotonic() + timeout
    while True:
        sockets = cluster.socket_directory() or cluster.start(settings, timeout=timeout)
        try:
            if sockets is not None:
                _create_database(sockets)
                return sockets
        except psycopg.OperationalError as exc:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the embedded Postgres does not answer at {sockets}: {exc}"
                ) from exc
        if time.monotonic() > deadline:
            raise Unavailable(
                f"processes of a killed Postgres on {cluster.data} do not end: stop them"
            )
        time.sleep(0.1)


def _create_database(sockets: Path) -> None:
    """Connect, which proves that the server answers, and create our database the first time."""
    url = _url(sockets, "postgres")
    with psycopg.connect(url, autocommit=True, connect_timeout=30) as connection:
        known = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]
        ).fetchone()
        if known is None:
            connection.execute(f"CREATE DATABASE {DATABASE_NAME}")
