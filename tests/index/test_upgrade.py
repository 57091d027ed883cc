"""The schema and the road to it."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vna.errors import ConfigError
from vna.index import jobs_schema
from vna.index import upgrade as upgrading
from vna.index.database import Database
from vna.index.jobs_schema import upgrade_jobs
from vna.index.sql import load, upgrade_names
from vna.index.upgrade import status, upgrade

_CATALOGUE = """
    SELECT 'column', table_name, column_name, concat_ws(' ', data_type, is_nullable, column_default,
        is_identity, collation_name, ordinal_position::text)
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conparentid = 0
    UNION ALL SELECT 'function', proname, pg_get_function_identity_arguments(oid), pg_get_functiondef(oid)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'comment', objoid::regclass::text, objsubid::text, description
    FROM pg_description WHERE classoid = 'pg_class'::regclass
        AND objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    ORDER BY 1, 2, 3, 4
"""


def catalogue(database: Database) -> list[tuple[object, ...]]:
    with database.connection() as connection:
        return connection.execute(_CATALOGUE).fetchall()


def test_fresh_database_gets_the_schema_once(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        assert status(database).pending == tuple(upgrade_names())
        assert upgrade(database) == upgrade_names()
        assert upgrade(database) == []
        assert status(database).applied == tuple(upgrade_names())
        assert status(database).pending == ()


def test_schema_is_the_sum_of_the_upgrades(empty_database_url: str, database: Database) -> None:
    with Database(empty_database_url) as road:
        with road.connection() as connection:
            for name in upgrade_names():
                connection.execute(load(f"upgrades/{name}"))
            upgrade_jobs(connection)
        assert catalogue(road) == catalogue(database)


def test_upgrades_are_numbered_without_gaps_and_say_when_they_apply() -> None:
    names = upgrade_names()
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert all(name[4:].startswith(("_pre_", "_post_")) for name in names)


def test_nodes_that_start_together_take_turns(empty_database_url: str) -> None:
    nodes = [Database(empty_database_url) for _ in range(4)]
    with ThreadPoolExecutor(len(nodes)) as pool:
        applied = sorted(pool.map(upgrade, nodes), key=len)
    assert applied == [[], [], [], upgrade_names()]
    for node in nodes:
        node.close()


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> str:
    """A further upgrade, as the next version of the archive will bring one."""
    name = f"{len(upgrade_names()) + 1:04}_pre_more"
    names = [*upgrade_names(), name]
    text = {f"upgrades/{name}": "CREATE TABLE more (x int)"}
    monkeypatch.setattr(upgrading, "upgrade_names", lambda: names)
    monkeypatch.setattr(upgrading, "load", lambda file: text.get(file) or load(file))
    return name


def test_older_database_gets_what_is_missing(empty_database_url: str, next_version: str) -> None:
    with Database(empty_database_url) as database:
        with pytest.MonkeyPatch.context() as old:
            old.setattr(upgrading, "upgrade_names", upgrade_names)
            upgrade(database)
        assert status(database).pending == (next_version,)
        assert upgrade(database) == [next_version]
        assert ("column", "more", "x") in [row[:3] for row in catalogue(database)]


def test_failing_upgrade_leaves_nothing(
    empty_database_url: str, next_version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "CREATE TABLE half (x int); SELECT 1 / 0"
    with Database(empty_database_url) as database:
        with pytest.MonkeyPatch.context() as old:
            old.setattr(upgrading, "upgrade_names", upgrade_names)
            upgrade(database)
        before = catalogue(database)
        monkeypatch.setattr(upgrading, "load", lambda _: broken)
        with pytest.raises(Exception, match="division by zero"):
            upgrade(database)
        assert catalogue(database) == before
        assert status(database).pending == (next_version,)
        with database.connection() as connection:
            locks = connection.execute(
                "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                "WHERE locktype = 'advisory' AND datname = current_database()"
            )
            assert locks.fetchone() == (0,)


def test_newer_schema_is_refused(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        upgrade(database)
        with database.connection() as connection:
            connection.execute("INSERT INTO schema_version VALUES (9999, '9999_post_future')")
        with pytest.raises(ConfigError, match="9999_post_future"):
            upgrade(database)
        with pytest.raises(ConfigError, match="newer version"):
            status(database)


def test_what_the_next_version_only_adds_is_lived_with(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        upgrade(database)
        with database.connection() as connection:
            connection.execute("INSERT INTO schema_version VALUES (9999, '9999_pre_future')")
        assert upgrade(database) == []
        assert status(database).pending == ()


def test_post_upgrades_may_come_after_later_ones(
    empty_database_url: str, database: Database
) -> None:
    names = upgrade_names()
    late = sorted(names, key=lambda name: "_post_" in name)
    with Database(empty_database_url) as road:
        with road.connection() as connection:
            for name in late:
                connection.execute(load(f"upgrades/{name}"))
            upgrade_jobs(connection)
        assert catalogue(road) == catalogue(database)


def test_database_of_another_encoding_is_refused(postgres_server: str) -> None:
    with Database(postgres_server) as server, server.connection() as connection:
        connection.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        )
    try:
        with (
            Database(postgres_server.replace("/vna?", "/ascii?")) as database,
            pytest.raises(ConfigError, match="SQL_ASCII"),
        ):
            upgrade(database)
    finally:
        with Database(postgres_server) as server, server.connection() as connection:
            connection.execute("DROP DATABASE ascii WITH (FORCE)")


@pytest.fixture
def newer_procrastinate(tmp_path: Path) -> Path:
    """The SQL of a procrastinate that has one more migration than the installed one."""
    folder = tmp_path / "sql"
    shutil.copytree(jobs_schema._folder(), folder)
    migration = folder / "migrations" / "99.00.00_01_pre_more.sql"
    migration.write_text("CREATE TABLE procrastinate_more (x int)")
    return folder


def test_tables_of_jobs_follow_the_installed_library(
    empty_database_url: str, newer_procrastinate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{jobs_schema.PREFIX}99.00.00_01_pre_more"
    with Database(empty_database_url) as database:
        upgrade(database)
        monkeypatch.setattr(jobs_schema, "_folder", lambda: newer_procrastinate)
        assert status(database).pending == (name,)
        assert upgrade(database) == [name]
        assert upgrade(database) == []
        assert ("column", "procrastinate_more", "x") in [row[:3] for row in catalogue(database)]
        monkeypatch.undo()
        with pytest.raises(ConfigError, match=r"99\.00\.00_01_pre_more"):
            upgrade(database)


def test_a_start_cut_off_before_the_tables_of_jobs_is_finished_by_the_next(
    empty_database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Database(empty_database_url) as cut_off:
        monkeypatch.setattr(upgrading, "upgrade_jobs", lambda _: [])
        upgrade(cut_off)
        monkeypatch.undo()
        assert upgrade(cut_off) == []
        assert catalogue(cut_off) == catalogue(database)
