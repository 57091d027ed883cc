"""The shortcut of `register` for series that were just stored never changes what is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.index.samples import ORIGIN, new_instance
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.known_parents import KnownParents, KnownSeries
from vna.model.instances import NewInstance, Outcome


def numbered(number: int, **changes: object) -> NewInstance:
    return new_instance(instance=f"1.1.1.{number}", **changes)  # type: ignore[arg-type]


def rows(database: Database, table: str) -> int:
    with database.connection() as connection:
        statement = f"SELECT count(*) FROM {table}"  # noqa: S608
        (count,) = connection.execute(statement).fetchone() or (0,)
    return int(count)


def test_later_instances_of_a_series_go_without_their_parents(database: Database) -> None:
    index = InstanceIndex(database)
    for number in range(1, 4):
        new = numbered(number)
        assert (index._known.series_of(new) is not None) is (number > 1)
        assert index.register(new, ORIGIN).outcome is Outcome.STORED
    assert [rows(database, t) for t in ("study", "series", "instance", "audit")] == [1, 1, 3, 3]


def test_parents_that_were_removed_meanwhile_are_written_again(database: Database) -> None:
    index = InstanceIndex(database)
    index.register(numbered(1), ORIGIN)
    with database.connection() as connection:
        connection.execute("DELETE FROM location; DELETE FROM instance; DELETE FROM series")
        connection.execute("DELETE FROM study; DELETE FROM patient")
    assert index.register(numbered(2), ORIGIN).outcome is Outcome.STORED
    with database.connection() as connection:
        row = connection.execute("SELECT attributes ->> '00081030' FROM study").fetchone()
    assert row is not None
    assert "Thorax" in row[0]


def test_a_conflict_is_kept_with_everything(database: Database) -> None:
    index = InstanceIndex(database)
    index.register(numbered(1), ORIGIN)
    other = numbered(1, content="other")
    assert index.register(other, ORIGIN).outcome is Outcome.CONFLICT
    with database.connection() as connection:
        row = connection.execute("SELECT attributes -> 'study' FROM conflict").fetchone()
    assert row is not None
    assert row[0]


def test_another_patient_of_a_known_study_is_listed(database: Database) -> None:
    index = InstanceIndex(database)
    index.register(numbered(1), ORIGIN)
    registration = index.register(numbered(2, patient_id="P2"), ORIGIN)
    assert registration.outcome is Outcome.STORED
    assert registration.notes
    assert [conflict.kind for conflict in index.conflicts()] == ["patient_mismatch"]
    again = index.register(numbered(3, patient_id="P2"), ORIGIN)
    assert again.notes, "a mismatching series is never taken for known"


def test_a_duplicate_is_one_on_the_short_way_too(database: Database) -> None:
    index = InstanceIndex(database)
    first = numbered(1)
    index.register(first, ORIGIN)
    copy = replace(first, location=replace(first.location, key="2024/other"))
    registration = index.register(copy, ORIGIN)
    assert (registration.outcome, registration.location_is_kept) == (Outcome.DUPLICATE, False)


@pytest.mark.parametrize("capacity", [1, 3])
def test_memory_of_series_is_bounded(capacity: int) -> None:
    known = KnownParents(capacity)
    new = [new_instance(series=f"1.1.{n}", instance=f"1.1.{n}.1") for n in range(5)]
    for instance in new:
        known.add(instance, KnownSeries(7, None))
    assert [known.series_of(instance) for instance in new].count(KnownSeries(7, None)) == capacity
    assert known.series_of(new[-1]) == KnownSeries(7, None)
