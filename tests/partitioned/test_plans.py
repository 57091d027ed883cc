"""Queries read only the partitions that can hold what they ask for, and those by their indexes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import sql

from tests.index.test_plans import filled, generic_plan_of, plan_of
from tests.partitioned.conftest import PARTITIONS
from vna.index.database import Database
from vna.index.partitioning import tell_planner
from vna.index.sql import load
from vna.model.identifiers import Level
from vna.model.query import Filter, Query, SingleValue

__all__ = ["filled"]

_PLACES = """
    INSERT INTO location (instance, "offset", length, backend, key)
    SELECT id, 0, 1, 'filesystem', md5(id::text) FROM instance
"""
_SERIES = Query(Level.IMAGE, (Filter(0x0020000E, SingleValue("1.3.77")),), frozenset({0x00080018}))
_INSTANCE = Query(
    Level.IMAGE, (Filter(0x00080018, SingleValue("1.4.77")),), frozenset({0x00080018})
)


@pytest.fixture(scope="module")
def known(filled: Database) -> Iterator[Database]:
    """The instances of `filled` with their places, and Postgres knows of them."""
    names = [f"{table}_{n}" for table in ("instance", "location") for n in range(PARTITIONS)]
    with filled.connection() as connection:
        connection.execute(_PLACES)
        for name in names:
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(name)))
    tell_planner(filled)
    yield filled
    with filled.connection() as connection:
        connection.execute("DELETE FROM location")


def nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    if isinstance(plan, list):
        for part in plan:
            yield from nodes(part)
    elif isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for part in plan.values():
            yield from nodes(part)


def explained(
    database: Database,
    statement: str,
    values: Mapping[str, object] | None = None,
    how: str = "FORMAT JSON",
) -> list[dict[str, Any]]:
    with database.connection() as connection:
        text = f"EXPLAIN ({how}) {statement}".encode()
        row = connection.execute(text, values, prepare=False).fetchone()
    assert row is not None
    return list(nodes(row[0]))


def read(plan: list[dict[str, Any]], table: str) -> list[str]:
    """Which partitions of a table are read, and not one of them whole."""
    found = [node for node in plan if str(node.get("Relation Name", "")).startswith(f"{table}_")]
    assert all("Index" in node["Node Type"] or "Bitmap" in node["Node Type"] for node in found)
    return sorted({node["Relation Name"] for node in found})


def test_a_uid_leads_to_one_partition(known: Database) -> None:
    assert len(read(list(nodes(json.loads(plan_of(known, _INSTANCE)))), "instance")) == 1


def test_one_plan_for_every_uid_leads_to_one_partition(known: Database) -> None:
    statement = "SELECT id FROM instance WHERE sop_instance_uid = $1"  # as register_instance begins
    with known.connection() as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE by_uid (text) AS {statement}".encode())
        row = connection.execute("EXPLAIN (FORMAT JSON) EXECUTE by_uid ('1.4.77')").fetchone()
        connection.execute("DEALLOCATE by_uid; RESET plan_cache_mode")
    assert row is not None
    plan = list(nodes(row[0]))
    assert len(read(plan, "instance")) == 1
    assert [node["Subplans Removed"] for node in plan if "Subplans Removed" in node] == [
        PARTITIONS - 1
    ]


def test_registering_plans_once(known: Database) -> None:
    with known.connection() as connection:
        row = connection.execute(
            "SELECT proconfig FROM pg_proc WHERE proname = 'register_instance'"
        ).fetchone()
    assert row == (["plan_cache_mode=force_generic_plan"],)


def test_a_series_is_found_by_the_index_of_each_partition(known: Database) -> None:
    plan = list(nodes(json.loads(plan_of(known, _SERIES))))
    assert len(read(plan, "instance")) == PARTITIONS
    plan = list(nodes(json.loads(generic_plan_of(known, _SERIES))))
    assert len(read(plan, "instance")) == PARTITIONS


def test_places_of_a_series_are_found_by_the_index_of_each_partition(known: Database) -> None:
    statement = load("queries/select_instances").replace(
        "{conditions}", "e.series_instance_uid = '1.3.77'"
    )
    plan = explained(known, statement)
    assert len(read(plan, "instance")) == PARTITIONS
    assert len(read(plan, "location")) == PARTITIONS


def test_a_key_leads_to_one_partition(known: Database) -> None:
    with known.connection() as connection:
        row = connection.execute("SELECT key FROM location ORDER BY key LIMIT 1").fetchone()
    assert row is not None
    values = {"backend": "filesystem", "key": row[0]}
    plan = explained(known, load("queries/verify_rows_of_key"), values, "ANALYZE, FORMAT JSON")
    assert len(read([node for node in plan if node["Actual Loops"]], "location")) == 1


def test_objects_are_walked_in_the_order_of_keys(known: Database) -> None:
    values = {"backend": "filesystem", "after": "8", "offset": 0, "limit": 50}
    plan = explained(known, load("queries/verify_rows"), values)
    assert len(read(plan, "location")) == PARTITIONS
    assert "Merge Append" in {node["Node Type"] for node in plan}
    whole = [node for node in plan if node["Node Type"] == "Sort" and node["Plan Rows"] > 200]
    assert whole == []  # pages may be sorted, of which there are three of 50 rows


def test_times_and_numbers_lead_to_their_partitions(known: Database) -> None:
    plan = explained(known, "SELECT * FROM change WHERE number > 10 AND number < 100")
    assert [node["Relation Name"] for node in plan if "Relation Name" in node] == ["change_0"]
    year = datetime.now(UTC).year + 1
    values = {"begin": datetime(year, 3, 1, tzinfo=UTC), "end": datetime(year, 4, 1, tzinfo=UTC)}
    statement = "SELECT * FROM audit_line WHERE at >= %(begin)s AND at < %(end)s"
    plan = explained(known, statement, values)
    names = [node["Relation Name"] for node in plan if "Relation Name" in node]
    assert names == [f"audit_line_{year}"]


def test_postgres_knows_that_ids_are_single(known: Database) -> None:
    """Nothing but statistics of the whole tell it: no index can, across partitions."""
    assert tell_planner(known) == []
    plan = explained(known, "SELECT FROM instance i JOIN location l ON l.instance = i.id")
    assert 5_000 < plan[0]["Plan Rows"] < 20_000
