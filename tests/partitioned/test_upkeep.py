"""The worker has Postgres look at partitioned tables that have grown."""

from __future__ import annotations

import pytest

from tests.partitioned.conftest import PARTITIONS
from vna import caretaker as module
from vna.config import Config
from vna.index.database import Database
from vna.index.partitioning import tell_planner

_PLACES = """
    INSERT INTO location (instance, "offset", length, backend, key)
    SELECT n, 0, 1, 'filesystem', md5(n::text) FROM generate_series(1, 5000) AS n
"""


def test_the_caretaker_tells_the_planner(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connection() as connection:
        connection.execute(
            "ANALYZE instance, location, change, audit_line, audit_instance"
        )  # empty
        connection.execute(_PLACES)
        for number in range(PARTITIONS):  # as autovacuum does
            connection.execute(f"ANALYZE location_{number}".encode())
    told: list[str] = []
    monkeypatch.setattr(
        module, "tell_planner", lambda database: told.extend(tell_planner(database))
    )
    caretaker = module.Caretaker(Config(), database)
    caretaker.look_after()
    assert [statement.split()[-1] for statement in told] == ["location"]
    caretaker.look_after()
    assert len(told) == 1
