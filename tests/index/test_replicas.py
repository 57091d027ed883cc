"""Rows of copies: written with their instance, taken by one worker at a time, gone with what they are copies of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from tests.index.samples import ORIGIN, new_instance
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.registering import parameters_of
from vna.index.replicas import ReplicaIndex
from vna.index.sql import load
from vna.model.identifiers import Selection
from vna.model.instances import Location, NewInstance, Outcome
from vna.model.replicas import DueCopy


def with_copies(
    number: int = 1, written: Sequence[str] = (), later: Sequence[str] = ()
) -> NewInstance:
    new = new_instance(instance=f"1.1.1.{number}")
    copies = tuple(
        Location(name, f"{name}/{number}.dcm", 0, new.location.length) for name in written
    )
    return replace(new, copies=copies, later=tuple(later))


@pytest.fixture
def replicas(index: InstanceIndex) -> ReplicaIndex:
    return index.replicas


def rows(database: Database, columns: str = "backend, key") -> list[tuple[object, ...]]:
    statement = f"SELECT {columns} FROM copy ORDER BY of_key, backend"  # noqa: S608
    with database.connection() as connection:
        return connection.execute(statement.encode()).fetchall()


def test_copies_are_registered_with_their_instance(
    index: InstanceIndex, database: Database
) -> None:
    new = with_copies(1, ["b"], ["c", "d"])
    assert index.register(new, ORIGIN).outcome is Outcome.STORED
    assert rows(database) == [("b", "b/1.dcm"), ("c", None), ("d", None)]
    assert index.replicas.copies_of(new.location) == list(new.copies)
    assert [(due.backend, due.count) for due in index.replicas.due()] == [("c", 1), ("d", 1)]


def test_the_same_call_again_adds_nothing(index: InstanceIndex, database: Database) -> None:
    new = with_copies(1, ["b"], ["c"])
    for _ in range(2):
        assert index.register(new, ORIGIN).location_is_kept
    assert len(rows(database)) == 2


def test_a_duplicate_brings_no_copies(index: InstanceIndex, database: Database) -> None:
    index.register(with_copies(1, ["b"]), ORIGIN)
    again = with_copies(1, ["c"])
    elsewhere = replace(again, location=replace(again.location, key="another/key.dcm"))
    assert not index.register(elsewhere, ORIGIN).location_is_kept
    assert rows(database) == [("b", "b/1.dcm")]


def _as_text(value: object) -> object:
    """JSON as text: what is made for the binary protocol is bytes."""
    return value.decode() if isinstance(value, bytes) and value.startswith(b"{") else value


@pytest.mark.parametrize(("known", "kept"), [(29, 0), (32, 1)], ids=["copies", "corrections"])
def test_callers_of_the_versions_before_register_without(
    index: InstanceIndex, database: Database, known: int, kept: int
) -> None:
    values = parameters_of(with_copies(1, ["b"]), ORIGIN)
    head, *places = load("queries/register").split("%s::")
    cut = "%s::".join([head, *places[:known]]).rstrip(", \n)")
    with database.connection() as connection:
        row = connection.execute(
            f"{cut})".encode(), [_as_text(value) for value in values[:known]]
        ).fetchone()
    assert row is not None
    assert row[0] == "stored"
    assert len(rows(database)) == kept


def test_copies_go_with_what_they_are_copies_of(index: InstanceIndex, database: Database) -> None:
    new = with_copies(1, ["b"], ["c"])
    index.register(new, ORIGIN)
    with database.connection() as connection:
        connection.execute("UPDATE location SET key = 'moved.dcm'")
    assert set(rows(database, "of_key")) == {("moved.dcm",)}
    with database.connection() as connection:
        connection.execute("DELETE FROM location")
    assert rows(database) == []


def test_workers_that_come_together_take_different_copies(
    index: InstanceIndex, replicas: ReplicaIndex
) -> None:
    for number in range(40):
        index.register(with_copies(number, later=["c"]), ORIGIN)
    together = Barrier(4)

    def work() -> list[DueCopy]:
        taken = []
        together.wait()
        while found := replicas.take(3, 60.0):
            taken += found
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [due for future in [pool.submit(work) for _ in range(4)] for due in future.result()]
    assert len({due.of.key for due in taken}) == len(taken) == 40
    assert {due.attempts for due in taken} == {1}
    assert not replicas.is_due()


def test_what_is_held_on_to_is_not_due(
    index: InstanceIndex, replicas: ReplicaIndex, database: Database
) -> None:
    index.register(with_copies(1, later=["c"]), ORIGIN)
    (due,) = replicas.take(1, 0.0)
    assert replicas.is_due(), "its time is over at once"
    replicas.hold(due, 60.0)
    assert replicas.take(1, 60.0) == []


def test_backends_that_are_away_are_left_out(index: InstanceIndex, replicas: ReplicaIndex) -> None:
    index.register(with_copies(1, later=["c", "d"]), ORIGIN)
    (due,) = replicas.take(10, 60.0, without=["c"])
    assert due.backend == "d"


def test_what_is_due_says_what_bytes_it_needs_and_whose(
    index: InstanceIndex, replicas: ReplicaIndex
) -> None:
    new = with_copies(1, later=["c"])
    index.register(new, ORIGIN)
    (due,) = replicas.take(1, 60.0)
    assert (due.of, due.digest, due.uids) == (new.location, new.object_digest, new.uids)
    assert due.known is None


def test_a_doubt_about_a_copy_makes_it_due_once(
    index: InstanceIndex, replicas: ReplicaIndex
) -> None:
    new = with_copies(1, ["b"])
    index.register(new, ORIGIN)
    for _ in range(2):
        replicas.doubt(new.copies[0])
    (due,) = replicas.take(10, 60.0)
    assert (due.known, due.is_location) == (new.copies[0], False)
    assert replicas.copies_of(new.location) == list(new.copies), "it may be read still"
    replicas.trusted(due)
    assert replicas.due() == []


def test_a_doubt_about_a_location_is_for_those_that_have_copies(
    index: InstanceIndex, replicas: ReplicaIndex, database: Database
) -> None:
    alone, copied = with_copies(1, later=["c"]), with_copies(2, ["b"])
    for new in (alone, copied):
        index.register(new, ORIGIN)
        replicas.doubt(new.location)
    found = [due for due in replicas.take(10, 60.0) if due.known is not None]
    assert [(due.of, due.is_location) for due in found] == [(copied.location, True)]
    replicas.trusted(found[0])
    assert set(rows(database)) == {("c", None), ("b", "b/2.dcm")}


def test_a_location_that_was_written_anew_leads_on_from_its_old_place(
    index: InstanceIndex, replicas: ReplicaIndex, database: Database
) -> None:
    new = with_copies(1, ["b"])
    index.register(new, ORIGIN)
    replicas.doubt(new.location)
    due = replicas.take_one(new.location, 60.0)
    assert due is not None
    fresh = replace(new.location, key="fresh.dcm")
    for _ in range(2):  # the second time after a commit that was never confirmed
        assert replicas.written(due, fresh, new.copies[0], ORIGIN)
    assert not replicas.written(due, replace(fresh, key="late.dcm"), new.copies[0], ORIGIN)
    (stored,) = index.select(Selection(sop_instance_uids=(new.uids.sop_instance_uid,)))
    assert stored.location == fresh
    assert replicas.copies_of(fresh) == list(new.copies)
    assert set(replicas.copies_of(new.location)) == {fresh, *new.copies}
    assert rows(database) == [("b", "b/1.dcm")]


def test_nothing_is_written_for_what_is_being_swept(
    index: InstanceIndex, replicas: ReplicaIndex, database: Database
) -> None:
    new = with_copies(1, later=["c"])
    index.register(new, ORIGIN)
    (due,) = replicas.take(1, 0.0)
    with database.connection() as connection:
        connection.execute(
            "SELECT delete_instances(%s, '', '', 'web', '', '', '')", [new.uids.study_instance_uid]
        )
        connection.execute("UPDATE trash_item SET sweep_began_at = now()")
    assert replicas.take(1, 60.0) == []
    assert not replicas.written(due, Location("c", "c/1.dcm", 0, 1), new.location, ORIGIN)


def test_postponed_copies_tell_why(index: InstanceIndex, replicas: ReplicaIndex) -> None:
    index.register(with_copies(1, later=["c"]), ORIGIN)
    (due,) = replicas.take(1, 60.0)
    replicas.postpone(due, 3600.0, "the disk is on fire\0")
    (waiting,) = replicas.due()
    assert (waiting.count, waiting.failed) == (1, 1)
    assert waiting.last_error.startswith("the disk is on fire")
    assert not replicas.is_due()


def test_what_is_due_is_found_by_its_index(index: InstanceIndex, database: Database) -> None:
    index.register(with_copies(1, ["b"], ["c"]), ORIGIN)
    with database.connection() as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT FROM copy WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT 16"
        ).fetchall()
    assert "copy_due" in str(plan)
