"""Copies that are due are written, and what is broken is healed, whatever stores and workers do meanwhile."""

from __future__ import annotations

import pytest

from tests import samples
from tests.services.faulty import ALWAYS
from tests.services.two_stores import (
    NO_WRITES,
    ORIGIN,
    Harm,
    Open,
    TwoStores,
    every_harm,
    every_pair,
    rules,
    whole,
)
from vna.config_storage import RuleConfig
from vna.model.instances import Outcome
from vna.model.replicas import Copied
from vna.services.copies import HEALED


@every_pair
@every_harm
@pytest.mark.parametrize("which", ["location", "copy"])
def test_what_could_not_be_read_is_written_anew(stores: TwoStores, harm: Harm, which: str) -> None:
    data = samples.ct(rows=64)
    instance = stores.kept(data)
    (copy,) = stores.copies(instance)
    broken, healthy = (
        (instance.location, copy) if which == "location" else (copy, instance.location)
    )
    harm(stores, broken)
    if which == "location":
        assert whole(stores.retrieve, instance) == data  # which has it noted
    else:
        stores.index.replicas.doubt(broken)
    assert stores.replication.work(ORIGIN) == 1
    now = stores.find(instance.uids.sop_instance_uid)
    places = [now.location, *stores.copies(now)]
    assert [place.backend for place in places[:2]] == ["near", "far"]
    assert healthy in places
    assert broken not in places
    assert [stores.bytes_at(place) for place in places[:2]] == [data, data]
    assert whole(stores.retrieve, instance) == data, "who knew the old place still gets it"
    action, lost = stores.one(
        "SELECT action, detail ->> 'lost_key' FROM audit WHERE door = 'dimse' ORDER BY id DESC LIMIT 1"
    )
    assert (action, lost) == ("instance.healed", broken.key)
    assert stores.index.replicas.due() == []
    assert stores.one("SELECT key, is_damaged FROM left_object") == (broken.key, True)


def test_a_false_alarm_changes_nothing(stores: TwoStores) -> None:
    instance = stores.kept(samples.ct(rows=64))
    stores.take_away("near")
    whole(stores.retrieve, instance)
    stores.bring_back()
    assert stores.index.replicas.is_due()
    assert stores.replication.work(ORIGIN) == 0
    assert stores.find(instance.uids.sop_instance_uid) == instance
    assert stores.index.replicas.due() == []
    assert stores.one("SELECT count(*) FROM copy") == (1,)


def test_what_never_can_be_read_while_its_store_is_well_is_written_anew(stores: TwoStores) -> None:
    data = samples.ct(rows=64)
    instance = stores.kept(data)
    stores.take_away("near")  # nothing can be read, but things can be written
    whole(stores.retrieve, instance)
    for _ in range(4):
        assert stores.replication.work(ORIGIN) == 0
        assert stores.find(instance.uids.sop_instance_uid).location == instance.location
        stores.make_due()
    assert stores.replication.work(ORIGIN) == 1
    assert stores.find(instance.uids.sop_instance_uid).location.key != instance.location.key


def test_a_store_that_is_away_holds_up_nothing_else(
    open_stores: Open, caplog: pytest.LogCaptureFixture
) -> None:
    config = rules(
        ("near",), ("far",), back=RuleConfig(modality=("MR",), copies=("far",), later=("near",))
    )
    stores = open_stores(config)
    away = [stores.kept(samples.small(Modality="CT")) for _ in range(20)]
    other = stores.kept(samples.small(Modality="MR"))
    stores.backends["far"].meet(NO_WRITES, ALWAYS)
    assert stores.replication.work(ORIGIN) == 1
    assert stores.copies(other)
    (due,) = stores.index.replicas.due()
    assert (due.backend, due.count) == ("far", 20)
    assert due.failed >= 1
    assert "connection refused" in due.last_error or "does not answer" in due.last_error
    stores.bring_back()
    stores.make_due()
    assert stores.replication.work(ORIGIN) == 20
    assert all(stores.copies(instance) for instance in away)


def test_what_nobody_expected_holds_up_nothing_else(
    open_stores: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = open_stores(rules(("near",), ("far",)))
    for _ in range(3):
        stores.kept(samples.small())
    write, calls = stores.objects.write, iter([True, False, False])

    def poisoned(*arguments: object) -> None:
        if next(calls):
            raise ZeroDivisionError("a fault of ours")
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stores.objects, "write", poisoned)
    assert stores.replication.work(ORIGIN) == 2
    (due,) = stores.index.replicas.due()
    assert "a fault of ours" in due.last_error
    assert "1 failed before" in str(due)


def test_a_damaged_source_is_never_copied(open_stores: Open) -> None:
    stores = open_stores(rules(("near",), ("far",)))
    instance = stores.kept(samples.ct(rows=64))
    stores.spoil(instance.location)
    assert stores.replication.work(ORIGIN) == 0
    assert stores.amounts()["far"] == 0
    (due,) = stores.index.replicas.due()
    assert (due.count, due.failed) == (1, 1)


def test_what_was_deleted_meanwhile_leaves_no_copy(
    open_stores: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = open_stores(rules(("near",), ("far",)))
    stores.kept(samples.ct(rows=64))
    write = stores.objects.write

    def write_and_delete(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        with stores.database.connection() as connection:
            connection.execute("DELETE FROM instance")

    monkeypatch.setattr(stores.objects, "write", write_and_delete)
    assert stores.replication.work(ORIGIN) == 0
    assert stores.amounts()["far"] == 0


def test_a_worker_that_died_leaves_its_work_to_the_next(open_stores: Open) -> None:
    stores = open_stores(rules(("near",), ("far",)))
    instance = stores.kept(samples.ct(rows=64))
    (taken,) = stores.index.replicas.take(10, 120.0)
    assert stores.replication.work(ORIGIN) == 0, "it is somebody else's still"
    stores.make_due()  # its time is over
    assert stores.replication.work(ORIGIN) == 1
    late = stores.objects.place("2026/01/01/0000/late.dcm", 1, "far")
    assert not stores.index.replicas.written(taken, late, instance.location, ORIGIN)
    assert len(stores.copies(instance)) == 1


def test_a_confirmation_that_was_lost_is_no_reason_to_remove_the_copy(open_stores: Open) -> None:
    stores = open_stores(rules(("near",), ("far",)))
    instance = stores.kept(samples.ct(rows=64))
    (due,) = stores.index.replicas.take(10, 120.0)
    place = stores.objects.place("2026/01/01/0000/copy.dcm", instance.location.length, "far")
    for _ in range(2):
        assert stores.index.replicas.written(due, place, instance.location, ORIGIN)


def test_one_place_can_be_healed_at_once(stores: TwoStores) -> None:
    instance = stores.kept(samples.ct(rows=64))
    (copy,) = stores.copies(instance)
    assert stores.replication.heal(copy, ORIGIN) is Copied.INTACT
    stores.lose(copy)
    assert stores.replication.heal(copy, ORIGIN) is Copied.HEALED
    assert stores.replication.heal(copy, ORIGIN) is Copied.GONE
    assert stores.replication.heal(instance.location, ORIGIN) is Copied.INTACT


def test_the_same_again_counts_on_the_copy_and_has_the_rest_healed(stores: TwoStores) -> None:
    data = samples.ct(rows=64)
    instance = stores.kept(data)
    stores.spoil(instance.location)
    again = stores.keep(data)
    assert again.outcome is Outcome.DUPLICATE
    assert HEALED not in again.warnings
    assert stores.replication.work(ORIGIN) == 1


def test_the_same_again_takes_the_place_of_copies_that_are_all_broken(stores: TwoStores) -> None:
    data = samples.ct(rows=64)
    instance = stores.kept(data)
    (copy,) = stores.copies(instance)
    stores.spoil(instance.location)
    stores.lose(copy)
    again = b"II*\0" + data[4:]
    assert HEALED in stores.keep(again).warnings
    now = stores.find(instance.uids.sop_instance_uid)
    (other,) = stores.copies(now)
    assert stores.bytes_at(now.location) == stores.bytes_at(other) == again
