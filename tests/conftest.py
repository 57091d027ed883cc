"""A real Postgres for every test that asks: one server per run, a template, one clone per worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.upgrade import upgrade

_TEMPLATE = "template_vna"
# Nothing of a test survives the machine: the server may forget to sync.
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_CLEAN = """
    DELETE FROM migration_attempt; DELETE FROM migration_instance; DELETE FROM migration_study;
    DELETE FROM campaign;
    DELETE FROM location; DELETE FROM trash_item; DELETE FROM trash; DELETE FROM change;
    DELETE FROM change_waiting; DELETE FROM conflict; DELETE FROM instance; DELETE FROM series;
    DELETE FROM study; DELETE FROM patient; DELETE FROM audit_line; DELETE FROM commitment;
    DELETE FROM audit_instance; DELETE FROM audit_occasion; DELETE FROM series_gone;
    DELETE FROM commitment_asked; DELETE FROM procrastinate_jobs; DELETE FROM procrastinate_workers;
    DELETE FROM verification; DELETE FROM drain; DELETE FROM series_due; UPDATE series_due_cursor SET number = 0;
    DELETE FROM told_correction
"""


@contextlib.contextmanager
def _taking_turns(directory: Path) -> Iterator[None]:
    with Path(f"{directory}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_directory() -> Path:
    """One directory per test run, the same for all its workers, not below pytest's private one."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return Path(tempfile.gettempdir()) / f"vna-tests-{run[:12]}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of this run's server, database "vna"; the last worker removes it."""
    directory = _run_directory()
    with _taking_turns(directory):
        directory.mkdir(mode=0o755, exist_ok=True)
        server = EmbeddedPostgres.start(directory, settings=_FAST)
    yield server.url
    with _taking_turns(directory):
        if server.release():
            shutil.rmtree(directory, ignore_errors=True)
            Path(f"{directory}.lock").unlink()


def _url_of(server_url: str, name: str) -> str:
    return server_url.replace("/vna?", f"/{name}?")


def _make_template(server_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE])
        if known.fetchone() is not None:
            return
        connection.execute("CREATE DATABASE template_vna_unfinished")
        with Database(_url_of(server_url, "template_vna_unfinished"), pool_size=1) as database:
            upgrade(database)
        connection.execute("ALTER DATABASE template_vna_unfinished RENAME TO template_vna")


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """The URL of a database without any schema, dropped after the test."""
    name = f"empty_{os.getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield _url_of(postgres_server, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def database_url(postgres_server: str) -> str:
    """The URL of this worker's own database, with the schema; also for other processes of a test."""
    name = f"worker_{os.getpid()}"
    with _taking_turns(_run_directory()):
        _make_template(postgres_server)
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(_TEMPLATE)
                )
            )
    return _url_of(postgres_server, name)


class Indexes:
    """The indexes that the tests of one process use one after the other. They stay connected: connections, and what
    a server learns anew for each, would take longer than most tests.
    """

    def __init__(self) -> None:
        self._open: dict[str, Database] = {}
        self._emptying: dict[str, psycopg.Connection] = {}

    def at(self, url: str) -> Database:
        """The index of that URL."""
        if url not in self._open:
            self._open[url] = Database(url)
        return self._open[url]

    def empty(self, url: str) -> None:
        """Empty it for the next test; this one may have broken all connections."""
        try:
            self._connection(url).execute(_CLEAN)
        except psycopg.OperationalError:
            self._emptying.pop(url).close()
            self._connection(url).execute(_CLEAN)

    def _connection(self, url: str) -> psycopg.Connection:
        if url not in self._emptying:
            self._emptying[url] = psycopg.connect(url, autocommit=True)
        return self._emptying[url]

    def close(self) -> None:
        """Leave them."""
        for database in self._open.values():
            database.close()
        for connection in self._emptying.values():
            connection.close()


@pytest.fixture(scope="session")
def indexes() -> Iterator[Indexes]:
    """What `database` hands out."""
    indexes = Indexes()
    yield indexes
    indexes.close()


@pytest.fixture
def database(database_url: str, indexes: Indexes) -> Iterator[Database]:
    """A ready, empty index; emptied again after the test."""
    yield indexes.at(database_url)
    indexes.empty(database_url)
