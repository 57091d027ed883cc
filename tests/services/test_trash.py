"""Deleting, restoring and sweeping with real objects: nothing is touched until the sweep, and then all of it goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage_backends.errors import BackendUnavailable
from tests import samples
from tests.index.dump import counts, dump
from tests.services.conftest import Bench
from vna.errors import NotFound, Unavailable
from vna.index.copies import KeptCopy
from vna.index.database import Database
from vna.model.identifiers import InstanceUids, Origin, Selection
from vna.model.instances import NewInstance, Outcome
from vna.services.store import StoreOutcome
from vna.services.trash import Swept

STUDY = InstanceUids("1.2", "", "")


def origin(correlation_id: str) -> Origin:
    return Origin("web", "tester", "", correlation_id)


def instance(number: int, comments: str = "") -> bytes:
    return samples.small(
        SOPInstanceUID=f"1.2.{number}",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.0",
        PatientComments=comments,
    )


def keep(bench: Bench, *numbers: int) -> list[StoreOutcome]:
    return [bench.keep(instance(number)) for number in numbers]


def objects(bench: Bench) -> int:
    return sum(1 for _ in bench.backend.scan())


def read(bench: Bench) -> dict[str, bytes]:
    found = bench.retrieve.select(Selection(study_instance_uids=("1.2",)))
    return {
        item.uids.sop_instance_uid: bench.retrieve.read(item, 0, item.location.length)
        for item in found
    }


def age(database: Database, days: int) -> None:
    with database.connection() as connection:
        connection.execute(
            "UPDATE trash SET deleted_at = deleted_at - make_interval(days => %s)", [days]
        )


def test_what_was_deleted_is_gone_and_comes_back_bit_for_bit(bench: Bench) -> None:
    keep(bench, 1, 2)
    before = read(bench)
    entry = bench.trash.delete(STUDY, origin("a"))
    assert read(bench) == {}
    assert objects(bench) == 2
    bench.trash.restore(entry.trash_id, origin("b"))
    assert read(bench) == before == {"1.2.1": instance(1), "1.2.2": instance(2)}


def test_what_is_not_there_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.trash.delete(STUDY, origin("a"))
    with pytest.raises(NotFound, match="entry 77 of the trash"):
        bench.trash.restore(77, origin("a"))


def test_a_sweep_takes_objects_and_rows_of_what_is_old_enough(
    bench: Bench, database: Database
) -> None:
    keep(bench, 1, 2)
    bench.trash.delete(STUDY, origin("a"))
    age(database, 29)
    assert bench.trash.sweep(origin("s")) == Swept(0, 0)
    assert objects(bench) == 2
    age(database, 1)
    assert bench.trash.sweep(origin("s")) == Swept(2, 0)
    assert objects(bench) == 0
    assert counts(database, "trash", "trash_item", "location") == [0, 0, 0]
    (line,) = (r for r in dump(database, "audit")["audit"] if r["action"] == "instances.swept")
    assert line["detail"]["instances"] == 2
    assert line["study_instance_uid"] == "1.2"
    assert keep(bench, 1)[0].outcome is Outcome.STORED


def test_a_sweep_of_one_entry_leaves_the_others(bench: Bench) -> None:
    keep(bench, 1, 2)
    first = bench.trash.delete(
        replace(STUDY, series_instance_uid="1.2.0", sop_instance_uid="1.2.1"), origin("a")
    )
    second = bench.trash.delete(STUDY, origin("b"))
    assert bench.trash.sweep(origin("s"), days=0, trash_id=second.trash_id) == Swept(1, 0)
    assert [entry.trash_id for entry in bench.trash.entries()] == [first.trash_id]


def test_conflicting_versions_are_swept_with_their_instance(bench: Bench) -> None:
    keep(bench, 1)
    bench.keep(instance(1, "other"))
    assert objects(bench) == 2
    bench.trash.delete(STUDY, origin("a"))
    assert bench.trash.sweep(origin("s"), days=0) == Swept(2, 0)
    assert objects(bench) == 0


def test_an_object_that_another_row_names_stays(bench: Bench, database: Database) -> None:
    """Objects may hold several instances one day: the last one that names an object takes it along."""
    keep(bench, 1, 2)
    with database.connection() as connection:
        connection.execute(
            "UPDATE location SET key = (SELECT min(key) FROM location), "
            '"offset" = CASE WHEN key = (SELECT min(key) FROM location) THEN 0 ELSE 5 END'
        )
    path = replace(STUDY, series_instance_uid="1.2.0")
    bench.trash.delete(replace(path, sop_instance_uid="1.2.1"), origin("a"))
    assert bench.trash.sweep(origin("s"), days=0) == Swept(1, 0)
    assert objects(bench) == 2
    bench.trash.delete(replace(path, sop_instance_uid="1.2.2"), origin("b"))
    assert bench.trash.sweep(origin("s"), days=0) == Swept(1, 0)
    assert objects(bench) == 1


def test_an_object_that_is_lost_already_holds_up_nothing(bench: Bench) -> None:
    keep(bench, 1, 2)
    bench.backend.delete(next(bench.backend.scan()).key)
    bench.trash.delete(STUDY, origin("a"))
    assert bench.trash.sweep(origin("s"), days=0) == Swept(2, 0)


def test_what_can_t_be_removed_now_is_swept_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bench, 1, 2, 3)
    stubborn = next(bench.backend.scan()).key
    real = type(bench.backend).delete

    def delete(self: object, key: str) -> None:
        if key == stubborn:
            raise BackendUnavailable("the test store does not answer")
        real(bench.backend, key)

    bench.trash.delete(STUDY, origin("a"))
    with monkeypatch.context() as patch:
        patch.setattr(type(bench.backend), "delete", delete)
        assert bench.trash.sweep(origin("s"), days=0) == Swept(2, 1)
    (entry,) = bench.trash.entries()
    assert entry.swept == 1
    with pytest.raises(NotFound):
        bench.trash.restore(entry.trash_id, origin("r"))
    assert bench.trash.sweep(origin("s"), days=0) == Swept(1, 0)
    assert objects(bench) == 0


def test_a_sweep_stops_when_told(bench: Bench) -> None:
    keep(bench, 1)
    bench.trash.delete(STUDY, origin("a"))
    assert bench.trash.sweep(origin("s"), days=0, should_stop=lambda: True) == Swept(0, 0)
    assert objects(bench) == 1


@pytest.mark.parametrize("with_sweep", [False, True])
def test_a_second_copy_that_comes_while_its_twin_is_deleted_is_stored(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, with_sweep: bool
) -> None:
    """The index said duplicate, then the instance went into the trash: success would promise what is not there."""
    keep(bench, 1)
    copies = bench.store._copies
    find = copies._copies.find

    def delete_in_between(new: NewInstance) -> KeptCopy | None:
        monkeypatch.undo()
        found = find(new) if with_sweep else None
        bench.trash.delete(STUDY, origin("a"))
        if with_sweep:
            bench.trash.sweep(origin("s"), days=0)
        return found or find(new)

    monkeypatch.setattr(copies._copies, "find", delete_in_between)
    (outcome,) = keep(bench, 1)
    assert outcome.outcome is Outcome.STORED
    assert outcome.warnings == ()
    assert read(bench) == {"1.2.1": instance(1)}
    assert objects(bench) == (1 if with_sweep else 2)


def test_a_second_copy_whose_twin_never_stays_is_to_be_sent_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bench, 1)
    monkeypatch.setattr(bench.store._copies._copies, "find", lambda _: None)
    with pytest.raises(Unavailable, match="send it again"):
        keep(bench, 1)
