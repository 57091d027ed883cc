"""The partitioned layout: made of the same schema and the same upgrades, in a new database alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.index.samples import ORIGIN, new_instance
from tests.index.test_upgrade import catalogue
from vna.errors import ConfigError
from vna.index import partitioning
from vna.index import upgrade as upgrading
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.jobs_schema import upgrade_jobs
from vna.index.partitioning import in_layout, partitions_of, tell_planner
from vna.index.sql import load, upgrade_names
from vna.index.upgrade import upgrade

PARTITIONS = 3
_IS_PARTITION = "SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind = 'r'"
_MORE = """
    ALTER TABLE instance ADD COLUMN more integer;
    CREATE TABLE more (
        instance bigint,
        uid text COLLATE "C"
    );  -- partitioned: ) PARTITION BY HASH (uid);
    CREATE UNIQUE INDEX instance_more  -- partitioned: CREATE INDEX instance_more
        ON instance (more);
"""


def partitions(database: Database) -> set[str]:
    """The names of all partitions."""
    with database.connection() as connection:
        return {name for (name,) in connection.execute(_IS_PARTITION.encode()).fetchall()}


def whole(database: Database) -> list[tuple[object, ...]]:
    """The catalogue without what belongs to single partitions."""
    parts = partitions(database)
    return [row for row in catalogue(database) if row[1] not in parts]


def execute(database: Database, statement: str) -> None:
    with database.connection() as connection:
        connection.execute(statement.encode())


@pytest.fixture
def partitioned(empty_database_url: str) -> Iterator[Database]:
    with Database(empty_database_url) as database:
        upgrade(database, PARTITIONS)
        yield database


def test_a_mark_puts_its_text_in_place_of_the_line() -> None:
    text = (
        "a (\n  b int  -- partitioned: c int\n);  -- partitioned: ) d;\n-- partitioned: e\n-- f\n"
    )
    assert in_layout(text, is_partitioned=True) == "a (\nc int\n) d;\ne\n-- f\n"
    assert in_layout(text, is_partitioned=False) == text


def test_partitions_are_made_once(partitioned: Database) -> None:
    names = partitions(partitioned)
    for table in ("instance", "location"):
        assert {f"{table}_{number}" for number in range(PARTITIONS)} <= names
    assert {"change_0", "change_1", "change_others"} <= names
    with partitioned.connection() as connection:
        assert partitions_of(connection) == PARTITIONS
    assert upgrade(partitioned, PARTITIONS) == []
    assert upgrade(partitioned) == []
    assert partitions(partitioned) == names


def test_plain_tables_stay_the_default(database: Database) -> None:
    with database.connection() as connection:
        assert partitions_of(connection) == 0
    assert partitions(database) == set()
    assert tell_planner(database) == []


def test_both_layouts_have_the_same_columns_functions_and_comments(
    partitioned: Database, database: Database
) -> None:
    def comparable(rows: list[tuple[object, ...]]) -> set[tuple[object, ...]]:
        generic = " SET plan_cache_mode TO 'force_generic_plan'\n"
        return {
            (*row[:3], str(row[3]).replace(generic, ""))
            for row in rows
            if row[0] in {"column", "function", "comment"}
        }

    assert comparable(whole(partitioned)) == comparable(whole(database))


def test_what_is_unique_stays_unique(partitioned: Database) -> None:
    unique = {row[2] for row in whole(partitioned) if "CREATE UNIQUE INDEX" in str(row[3])}
    assert {"instance_identity", "location_identity", "conflict_content", "change_pkey"} <= unique


def test_the_partitioned_schema_is_the_sum_of_the_upgrades(
    empty_database_url: str, partitioned: Database
) -> None:
    made = whole(partitioned)
    execute(partitioned, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with partitioned.connection() as connection:
        for name in upgrade_names():
            connection.execute(in_layout(load(f"upgrades/{name}"), is_partitioned=True))
        upgrade_jobs(connection)
    assert whole(partitioned) == made


@pytest.mark.parametrize("count", [0, PARTITIONS])
def test_a_later_upgrade_of_these_tables_runs_on_both_layouts(
    empty_database_url: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{len(upgrade_names()) + 1:04}_pre_more"
    with Database(empty_database_url) as database:
        upgrade(database, count)
        InstanceIndex(database).register(new_instance(), ORIGIN)
        names = [*upgrade_names(), name]
        monkeypatch.setattr(upgrading, "upgrade_names", lambda: names)
        text = {f"upgrades/{name}": _MORE}
        monkeypatch.setattr(upgrading, "load", lambda file: text.get(file) or load(file))
        assert upgrade(database) == [name]
        assert len([part for part in partitions(database) if part.startswith("more_")]) == count
        execute(database, "INSERT INTO more SELECT id, sop_instance_uid FROM instance")
        assert InstanceIndex(database).counts().instances == 1


def test_a_database_that_is_there_keeps_its_layout(
    partitioned: Database, database: Database
) -> None:
    with pytest.raises(ConfigError, match=r"partitions is 4, but the database has 3 partitions"):
        upgrade(partitioned, 4)
    with pytest.raises(ConfigError, match=r"partitions is 4, but the database has plain tables"):
        upgrade(database, 4)


def test_too_many_partitions_are_refused(empty_database_url: str) -> None:
    with Database(empty_database_url) as database:
        with pytest.raises(ConfigError, match="256 at most"):
            upgrade(database, 257)
        assert catalogue(database) == []


def test_an_old_server_is_refused(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitioning, "_OLDEST_SERVER", 990000)
    with Database(empty_database_url) as database:
        with pytest.raises(ConfigError, match="partitions needs Postgres 99 or newer"):
            upgrade(database, 2)
        upgrade(database)


def test_years_and_blocks_to_come_follow_at_a_start(partitioned: Database) -> None:
    names = partitions(partitioned)
    newest = max(name for name in names if name.startswith("audit_line_2"))
    execute(partitioned, f"DROP TABLE {newest}; DROP TABLE change_1")
    assert partitions(partitioned) == names - {newest, "change_1"}
    upgrade(partitioned)
    assert partitions(partitioned) == names
    with partitioned.connection() as connection:
        connection.execute(
            "INSERT INTO change (number, at, action, study_instance_uid, series_instance_uid, sop_instance_uid)"
            " VALUES (%s, now(), 'stored', '1', '2', '3')",
            [20 * partitioning._CHANGES_IN_A_BLOCK],
        )
    upgrade(partitioned)
    later = partitions(partitioned) - names
    # What lies among the others already stays there, and its block is never made.
    assert later == {f"change_{20 + n}" for n in range(1, partitioning._AHEAD + 1)}


def test_a_start_does_not_wait_for_who_reads(
    partitioned: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitioning, "_LOCK_TIMEOUT", "10ms")
    names = partitions(partitioned)
    execute(partitioned, "DROP TABLE change_1")
    with partitioned.connection() as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM change")
        upgrade(partitioned)
        assert partitions(partitioned) == names - {"change_1"}
    upgrade(partitioned)
    assert partitions(partitioned) == names
