"""Connections: lost and found again, translated errors, forks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as sql_errors

from tests.index.samples import ORIGIN, new_instance
from vna.errors import ConfigError, OutOfSpace, Unavailable, VnaError
from vna.index.database import Connection, Database, translated
from vna.index.embedded import EmbeddedPostgres
from vna.index.instances import InstanceIndex
from vna.index.upgrade import upgrade
from vna.model.instances import Outcome


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres.start(tmp_path)
    yield server
    server.release()


def backend_of(connection: Connection) -> int:
    return connection.info.backend_pid


def end_other_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_database_gone_and_back(tmp_path: Path) -> None:
    server = EmbeddedPostgres.start(tmp_path)
    with Database(server.url, pool_size=4, connect_timeout=1) as database:
        upgrade(database)
        index = InstanceIndex(database)
        index.register(new_instance(), ORIGIN)
        server.release()
        for _ in range(2):
            with pytest.raises(Unavailable):
                index.register(new_instance(instance="2"), ORIGIN)
            with pytest.raises(Unavailable):
                database.ping()
        server = EmbeddedPostgres.start(tmp_path)
        while True:  # the pool looks for the server again on its own
            try:
                database.ping()
                break
            except Unavailable:
                continue
        assert index.register(new_instance(instance="2"), ORIGIN).outcome is Outcome.STORED
        assert index.counts().instances == 2
    server.release()


def test_external_url(own_server: EmbeddedPostgres) -> None:
    with Database(own_server.url) as database:
        assert upgrade(database)
        assert InstanceIndex(database).register(new_instance(), ORIGIN).location_is_kept


def test_lost_connections_are_replaced_without_anybody_noticing(
    database: Database, database_url: str
) -> None:
    index = InstanceIndex(database)
    held = [threading.Event() for _ in range(3)]
    release = threading.Event()

    def hold(ready: threading.Event) -> None:
        with database.connection() as connection:
            connection.execute("SELECT 1")
            ready.set()
            release.wait(30)

    threads = [threading.Thread(target=hold, args=[ready]) for ready in held]
    for thread in threads:
        thread.start()
    assert all(ready.wait(30) for ready in held)
    release.set()
    for thread in threads:
        thread.join()
    end_other_connections(database_url)
    for number in range(6):
        outcome = index.register(new_instance(instance=f"1.{number}"), ORIGIN).outcome
        assert outcome is Outcome.STORED


def test_deadlocks_and_serialization_failures_are_tried_again(database: Database) -> None:
    tried: list[str] = []

    def operation(connection: Connection) -> str:
        tried.append("")
        if len(tried) == 1:
            connection.execute("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")
        if len(tried) == 2:
            connection.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
        return "done"

    assert database.attempt(operation) == "done"
    assert len(tried) == 3


@pytest.mark.parametrize("state", ["53100", "57014", "23505"])
def test_other_errors_are_not_tried_again(database: Database, state: str) -> None:
    tried: list[str] = []

    def operation(connection: Connection) -> None:
        tried.append("")
        connection.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")

    with pytest.raises(VnaError):
        database.attempt(operation)
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("driver", "ours"),
    [
        (sql_errors.DiskFull("x"), OutOfSpace),
        (sql_errors.AdminShutdown("x"), Unavailable),
        (sql_errors.ReadOnlySqlTransaction("x"), Unavailable),
        (psycopg.InterfaceError("x"), Unavailable),
        (sql_errors.UniqueViolation("x"), VnaError),
    ],
)
def test_errors_are_translated(driver: psycopg.Error, ours: type[VnaError]) -> None:
    with pytest.raises(VnaError) as caught, translated():
        raise driver
    assert type(caught.value) is ours
    assert caught.value.__cause__ is driver


def test_messages_quote_no_values(database: Database) -> None:
    with pytest.raises(VnaError) as caught, database.connection() as connection:
        connection.execute("CREATE TEMP TABLE t (name text PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES ('Secret^Name'), ('Secret^Name')")
    assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(("asked", "had"), [("off", "on"), ("on", "on"), ("local", "local")])
def test_a_commit_is_durable_on_a_server_that_does_not_wait_for_its_disk(
    database_url: str, asked: str, had: str
) -> None:
    separator = "&" if "?" in database_url else "?"
    url = f"{database_url}{separator}options=-c%20synchronous_commit%3D{asked}"
    with Database(url) as database, database.connection() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == (had,)


def test_nonsense_urls(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[database\] url"):
        Database("postgresql://[").ping()
    with pytest.raises(Unavailable):
        Database(f"postgresql://vna@/vna?host={tmp_path}", connect_timeout=0.2).ping()


def test_exhausted_pool_is_unavailable(database_url: str) -> None:
    with (
        Database(database_url, pool_size=1, connect_timeout=0.2) as database,
        database.connection(),
        pytest.raises(Unavailable, match="pool_size"),
    ):
        database.ping()


def test_closed_database_is_unavailable(database_url: str) -> None:
    database = Database(database_url)
    database.ping()
    database.close()
    database.close()
    with pytest.raises(Unavailable):
        database.ping()


def test_forked_child_has_connections_of_its_own(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    with database.connection() as connection:
        mine = backend_of(connection)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with database.connection() as connection:
                os.write(writer, str(backend_of(connection)).encode())
            database.close()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    theirs = os.read(reader, 100)
    os.close(reader)
    os.waitpid(child, 0)
    assert theirs.isdigit()
    assert int(theirs) != mine
    with database.connection() as connection:
        assert backend_of(connection) == mine
    database.close()
