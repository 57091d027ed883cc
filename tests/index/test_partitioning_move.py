"""An index with plain tables moves into a partitioned database by Postgres' own programs, as docs/scale.md has it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.house.project import read
from tests.index.dump import VISIBLE, dump
from tests.index.samples import ORIGIN, new_instance
from vna.index.changes import ChangeIndex
from vna.index.cluster import binaries
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.trash import TrashIndex
from vna.index.upgrade import upgrade
from vna.model.identifiers import InstanceUids
from vna.model.instances import Outcome

_PREPARE = (
    "TRUNCATE schema_version, jobs_migration, person_name_scheme, series_due_cursor, oldest_reader"
)
_TABLES = (*VISIBLE, "trash", "trash_item", "audit", "change", "schema_version", "jobs_migration")
_BIN = binaries()
_OPTIONS = "-c session_replication_role=replica"  # foreign keys are not looked at: all rows come


def move(source: str, target: Database, partitions: int, file: Path) -> None:
    """Every row of `source` into the empty database `target`."""
    form = ("--data-only", "--load-via-partition-root", "--format=custom")
    subprocess.run([_BIN / "pg_dump", *form, f"--file={file}", source], check=True, timeout=120)
    upgrade(target, partitions)
    with target.connection() as connection:
        connection.execute(_PREPARE)
    restore = ("--data-only", "--exit-on-error", f"--dbname={target.url}")
    subprocess.run(
        [_BIN / "pg_restore", *restore, file],
        check=True,
        timeout=120,
        env=os.environ | {"PGOPTIONS": _OPTIONS},
    )


@pytest.fixture
def another_url(postgres_server: str) -> Iterator[str]:
    """The URL of one more empty database."""
    name = f"moved_{os.getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield postgres_server.replace("/vna?", f"/{name}?")
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def fill(database: Database) -> None:
    """Instances, a version in conflict, a study in the trash."""
    index = InstanceIndex(database)
    for number in range(20):
        index.register(new_instance("1.1", f"1.1.{number % 2}", f"1.1.9.{number}"), ORIGIN)
    index.register(new_instance("1.1", "1.1.1", "1.1.9.1", content="other"), ORIGIN)
    index.register(new_instance("2.1", "2.1.1", "2.1.1.1"), ORIGIN)
    TrashIndex(database).delete(InstanceUids("2.1", "", ""), ORIGIN)
    ChangeIndex(database).number()


def test_a_plain_index_moves_into_partitions_and_into_others(
    database: Database, empty_database_url: str, another_url: str, tmp_path: Path
) -> None:
    fill(database)
    before = dump(database, *_TABLES)
    with Database(empty_database_url) as four:
        move(database.url, four, 4, tmp_path / "plain.dump")
        assert dump(four, *_TABLES) == before
    with Database(another_url) as three:
        move(empty_database_url, three, 3, tmp_path / "four.dump")
        assert dump(three, *_TABLES) == before
        assert upgrade(three, 3) == []
        index, trash = InstanceIndex(three), TrashIndex(three)
        again = index.register(new_instance("1.1", "1.1.1", "1.1.9.1"), ORIGIN)
        assert again.outcome is Outcome.DUPLICATE
        assert index.register(new_instance("3.1", "3.2", "3.3"), ORIGIN).outcome is Outcome.STORED
        assert trash.restore(trash.entries()[0].trash_id, ORIGIN) is not None
        assert index.counts().instances == 22


def test_the_guide_says_what_was_done_here() -> None:
    guide = read("docs/scale.md")
    assert _PREPARE in guide
    assert f"PGOPTIONS='{_OPTIONS}'" in guide
    assert "pg_dump --data-only --load-via-partition-root --format=custom" in guide
