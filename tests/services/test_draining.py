"""A backend is emptied while the archive works: nothing is lost, nothing doubled, and it goes on after every end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from storage_backends.errors import BackendFull
from tests.corrections import correction
from tests.services.conftest import ORIGIN, Bench
from tests.services.several_stores import Folders, found, instance, places, read, where
from vna.config_storage import RuleConfig
from vna.errors import ConfigError
from vna.index.database import Database
from vna.model.draining import Drain
from vna.model.identifiers import InstanceUids
from vna.model.verification import Fault
from vna.services.draining import HowToDrain, Watching, work_on_all
from vna.services.verification import HowToVerify

ONE = HowToDrain(threads=1)
EACH = 6
FOLDERS = "new old third"


@pytest.fixture
def old(folders: Folders, database: Database) -> Bench:
    """The archive as it was: all in one backend."""
    bench = folders.bench(database, folders.storage("old"))
    for number in range(EACH):
        bench.keep(instance(number))
    return bench


def drained(bench: Bench, target: str = "", grace: int = 0) -> Drain:
    bench.draining.begin("old", target, ORIGIN, grace)
    ended = bench.draining.work("old", ORIGIN, ONE)
    assert ended is not None
    return ended


def is_consistent(bench: Bench) -> bool:
    run = bench.verification.everything(HowToVerify(ORIGIN, young=0))
    return run.faults == 0 and run.ended_at is not None


def test_everything_goes_to_the_backend_that_new_objects_go_to(
    folders: Folders, old: Bench, database: Database
) -> None:
    old.keep(instance(1, "other content"))
    old.trash.delete(InstanceUids("1.2", "1.2.0.1", "1.2.5"), ORIGIN)
    kept = {number: read(old, number) for number in range(5)}
    bench = folders.bench(database, folders.storage("new", drain="old"))
    ended = drained(bench)
    assert ended.ended_at is not None
    assert (ended.moved, ended.dropped, ended.failed) == (EACH + 1, 0, 0)
    assert ended.size == sum(info.size for info in folders.backends["new"].scan())
    assert folders.keys("old") == []
    assert len(folders.keys("new")) == EACH + 1
    assert {number: read(bench, number) for number in range(5)} == kept
    assert is_consistent(bench)
    (entry,) = bench.trash.entries()
    assert bench.trash.restore(entry.trash_id, ORIGIN).restored == 1
    assert read(bench, 5) == instance(5)


@pytest.mark.parametrize("fate", ["visible", "in conflict", "in the trash"])
def test_what_is_corrected_goes_by_what_it_is_now(
    folders: Folders, database: Database, fate: str
) -> None:
    """As at its store, when the rules were others."""
    old = folders.bench(database, folders.storage("old"))
    if fate == "in conflict":
        old.keep(instance(1, "other content"))
    with old.store.spool.open() as writer:
        writer.write(instance(1))
        with writer.finish() as spooled:
            old.store.store(spooled, ORIGIN, correction=correction())
    if fate == "in the trash":
        old.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
    rules = {"south": RuleConfig(tags={"IssuerOfPatientID": "South"}, copies=("third",))}
    drained(folders.bench(database, folders.storage("new", drain="old", rules=rules)))
    assert len(folders.keys("third")) == 1


def test_keys_are_fresh(folders: Folders, old: Bench, database: Database) -> None:
    before = folders.keys("old")
    drained(folders.bench(database, folders.storage("new", drain="old")))
    assert not set(before) & set(folders.keys("new"))


def test_a_target_stands_above_the_rules(folders: Folders, old: Bench, database: Database) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    drained(bench, "third")
    assert where(bench, 1) == ["third"]
    assert folders.keys("new") == folders.keys("old") == []


def test_each_object_goes_where_its_rule_says(
    folders: Folders, old: Bench, database: Database
) -> None:
    old.keep(instance(70, modality="MR"))
    rules = {"magnets": RuleConfig(modality=("MR",), copies=("third",))}
    bench = folders.bench(database, folders.storage("new", drain="old", rules=rules))
    drained(bench)
    assert where(bench, 70) == ["third"]
    assert {tuple(where(bench, number)) for number in range(EACH)} == {("new",)}


def test_a_rule_by_the_sender_is_kept_to(
    folders: Folders, old: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {"one": RuleConfig(calling_ae=("CT1",), copies=("third",))}
    bench = folders.bench(database, folders.storage("new", drain="old", rules=rules))
    with database.connection() as connection:
        connection.execute(
            "WITH one AS (INSERT INTO audit_occasion"
            " (action, door, peer, address, correlation_id, study_instance_uid)"
            " SELECT action, 'dimse', 'CT1', address, correlation_id, study_instance_uid"
            " FROM audit WHERE sop_instance_uid = '1.2.3' RETURNING id)"
            " UPDATE audit_instance SET occasion = one.id FROM one WHERE uid = packed_uid('1.2.3')"
        )
    drained(bench)
    assert where(bench, 3) == ["third"]
    assert where(bench, 2) == ["new"]


def test_a_copy_that_is_there_takes_the_place_of_its_location(
    folders: Folders, database: Database
) -> None:
    before = folders.bench(database, folders.storage("old new"))
    before.keep(instance(1))
    assert where(before, 1) == ["old", "new"]
    bench = folders.bench(database, folders.storage("new", drain="old"))
    ended = drained(bench)
    assert (ended.moved, ended.dropped) == (0, 1)
    assert where(bench, 1) == ["new"]
    assert (len(folders.keys("old")), len(folders.keys("new"))) == (0, 1)
    assert is_consistent(bench)


@pytest.mark.parametrize("copies", ["old new", "new old"])
def test_the_number_of_copies_stays(copies: str, folders: Folders, database: Database) -> None:
    before = folders.bench(database, folders.storage(copies))
    before.keep(instance(1))
    bench = folders.bench(database, folders.storage("new third", drain="old"))
    assert drained(bench).moved == 1
    assert sorted(where(bench, 1)) == ["new", "third"]
    assert read(bench, 1) == instance(1)
    assert is_consistent(bench)


def test_a_copy_that_is_due_is_due_elsewhere(folders: Folders, database: Database) -> None:
    before = folders.bench(database, folders.storage("new", later="old"))
    before.keep(instance(1))
    bench = folders.bench(database, folders.storage("new", later="third", drain="old"))
    assert drained(bench).ended_at is not None
    assert [due.backend for due in bench.index.replicas.due()] == ["third"]
    assert bench.replication.work(ORIGIN) == 1
    assert where(bench, 1) == ["new", "third"]


def test_a_copy_that_would_be_one_too_many_goes(folders: Folders, database: Database) -> None:
    before = folders.bench(database, folders.storage("new old third"))
    before.keep(instance(1))
    bench = folders.bench(database, folders.storage("new third", drain="old"))
    assert drained(bench).dropped == 1
    assert where(bench, 1) == ["new", "third"]
    assert folders.keys("old") == []


def test_nothing_is_given_up_for_copies_that_are_damaged(
    folders: Folders, database: Database
) -> None:
    before = folders.bench(database, folders.storage("old new"))
    before.keep(instance(1))
    location, copy = places(before, 1)
    folders.damage(copy)
    bench = folders.bench(database, folders.storage("new", drain="old"))
    ended = drained(bench)
    assert (ended.ended_at, ended.failed) == (None, 1)
    assert "damaged" in ended.last_error
    assert found(bench, 1).location == location
    assert read(bench, 1) == instance(1)


def test_a_damaged_object_is_moved_from_its_copy_and_stays_for_a_person(
    folders: Folders, database: Database
) -> None:
    before = folders.bench(database, folders.storage("old new"))
    before.keep(instance(1))
    folders.damage(places(before, 1)[0])
    bench = folders.bench(database, folders.storage("new third", drain="old"))
    assert drained(bench).ended_at is not None
    assert sorted(where(bench, 1)) == ["new", "third"]
    assert bench.draining.index.left("old").damaged == len(folders.keys("old")) == 1
    how = HowToVerify(ORIGIN, young=0, repairs=True, only="old")
    run = bench.verification.everything(how, lambda finding: None)
    assert (run.objects, run.faults) == (0, 0)
    assert folders.keys("old") == []


def test_a_damaged_object_without_a_copy_is_listed_and_holds_up_nothing(
    folders: Folders, old: Bench, database: Database
) -> None:
    folders.damage(found(old, 2).location)
    bench = folders.bench(database, folders.storage("new", drain="old"))
    failures: list[str] = []
    bench.draining.begin("old", "", ORIGIN, 0)
    watching = Watching(on_failure=lambda place, reason: failures.append(place[0]))
    ended = bench.draining.work("old", ORIGIN, ONE, watching)
    assert ended is not None
    assert (ended.ended_at, ended.moved, ended.failed) == (None, EACH - 1, 1)
    assert failures == [found(old, 2).location.key]
    assert folders.keys("old") == failures


def test_moved_objects_stay_for_a_while(folders: Folders, old: Bench, database: Database) -> None:
    before = found(old, 1)
    bench = folders.bench(database, folders.storage("new", drain="old"))
    ended = drained(bench, grace=600)
    assert ended.ended_at is None
    assert bench.draining.index.left("old").moved == len(folders.keys("old")) == EACH
    assert bytes(bench.retrieve.load_whole(before)) == instance(1)
    assert is_consistent(bench)
    with database.connection() as connection:
        connection.execute("UPDATE left_object SET goes_at = now()")
    assert bench.left.remove() == EACH
    assert folders.keys("old") == []


def test_a_drain_that_was_stopped_goes_on(folders: Folders, old: Bench, database: Database) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    bench.draining.begin("old", "", ORIGIN, 0)
    asked = iter([False] * 3)
    first = bench.draining.work("old", ORIGIN, ONE, Watching(should_stop=lambda: next(asked, True)))
    assert first is not None
    assert 0 < first.moved < EACH
    another = folders.bench(database, folders.storage("new", drain="old"))
    ended = another.draining.work("old", ORIGIN, ONE)
    assert ended is not None
    assert (ended.moved, ended.ended_at is not None) == (EACH, True)


def test_one_at_a_time_works_on_a_drain(folders: Folders, old: Bench, database: Database) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    another = folders.bench(database, folders.storage("new", drain="old"))
    bench.draining.begin("old", "", ORIGIN, 0)
    seen: list[object] = []
    watching = Watching(on_progress=lambda _: seen.append(another.draining.work("old", ORIGIN)))
    ended = bench.draining.work("old", ORIGIN, ONE, watching)
    assert ended is not None
    assert ended.ended_at is not None
    assert seen
    assert set(seen) == {None}


def test_a_cancelled_drain_moves_no_more(folders: Folders, old: Bench, database: Database) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    bench.draining.begin("old", "", ORIGIN, 0)
    assert bench.draining.cancel("old", ORIGIN)
    assert not bench.draining.cancel("old", ORIGIN)
    assert bench.draining.work("old", ORIGIN) is None
    assert len(folders.keys("old")) == EACH


def test_the_worker_takes_up_what_nobody_works_on(
    folders: Folders, old: Bench, database: Database
) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    bench.draining.begin("old", "", ORIGIN, 0)
    assert bench.draining.index.due() == ["old"]
    work_on_all(bench.draining, ORIGIN)
    assert bench.draining.index.due() == []
    assert folders.keys("old") == []


def test_a_target_that_is_full_is_not_tried_for_each_object(
    folders: Folders, old: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.services.draining._ENOUGH", 3)

    def full(*_: Any, **__: Any) -> None:
        raise BackendFull("no space left")

    monkeypatch.setattr(folders.backends["new"], "put", full)
    bench = folders.bench(database, folders.storage("new", drain="old"))
    ended = drained(bench)
    assert ended.ended_at is None
    assert 3 <= ended.failed < 6 + 3
    assert "no space left" in ended.last_error
    assert len(folders.keys("old")) == EACH


@pytest.mark.parametrize(
    ("backend", "target", "reason"),
    [
        ("none", "", "there is no backend 'none'"),
        ("old", "none", "there is no backend 'none'"),
        ("old", "old", "is to be drained itself"),
        ("new", "", "storage.backends.new.drain = true"),
    ],
)
def test_what_can_not_be_drained_is_refused(
    backend: str, target: str, reason: str, folders: Folders, database: Database
) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    with pytest.raises(ConfigError, match=reason):
        bench.draining.begin(backend, target, ORIGIN)


def test_what_is_swept_meanwhile_is_not_brought_back(
    folders: Folders, old: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    move = bench.draining.index.move

    def sweep_and_move(*args: Any, **options: Any) -> bool:
        if list(bench.trash.entries()) == [] and folders.keys("old"):
            old.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
            old.trash.sweep(ORIGIN, days=0)
        return move(*args, **options)

    monkeypatch.setattr(bench.draining.index, "move", sweep_and_move)
    assert drained(bench).ended_at is not None
    assert folders.keys("old") == folders.keys("new") == []
    assert bench.verification.index.backends() == set()


@pytest.mark.parametrize("copies", ["old", "third old"], ids=["location", "copy"])
def test_a_copy_that_is_written_at_the_same_time_is_enough(
    copies: str, folders: Folders, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folders.bench(database, folders.storage(copies, later="new"))
    before.keep(instance(1))
    bench = folders.bench(database, folders.storage("new", drain="old"))
    move = bench.draining.index.move

    def copy_and_move(*args: Any, **options: Any) -> bool:
        before.replication.work(ORIGIN)
        return move(*args, **options)

    monkeypatch.setattr(bench.draining.index, "move", copy_and_move)
    assert drained(bench).ended_at is None
    assert len(folders.keys("new")) == 1
    assert drained(bench).dropped == 1
    assert where(bench, 1) == [*copies.split()[:-1], "new"]
    assert (len(folders.keys("new")), len(folders.keys("old"))) == (1, 0)
    assert is_consistent(bench)


def test_a_copy_that_was_healed_meanwhile_does_not_become_the_location(
    folders: Folders, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folders.bench(database, folders.storage("old new"))
    before.keep(instance(1))
    copy = places(before, 1)[1]
    bench = folders.bench(database, folders.storage("new", drain="old"))
    move = bench.draining.index.move

    def heal_and_move(*args: Any, **options: Any) -> bool:
        if copy in places(before, 1):
            folders.damage(copy)
            before.replication.heal(copy, ORIGIN)
        return move(*args, **options)

    monkeypatch.setattr(bench.draining.index, "move", heal_and_move)
    assert drained(bench).ended_at is None
    assert drained(bench).dropped == 1
    assert where(bench, 1) == ["new"]
    assert found(bench, 1).location != copy
    assert read(bench, 1) == instance(1)


def test_what_is_stored_meanwhile_by_who_does_not_know_yet_goes_too(
    folders: Folders, old: Bench, database: Database
) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    numbers = iter(range(50, 53))

    def store_more(_: Drain) -> None:
        for number in numbers:
            old.keep(instance(number))

    bench.draining.begin("old", "", ORIGIN, 0)
    ended = bench.draining.work("old", ORIGIN, ONE, Watching(on_progress=store_more))
    assert ended is not None
    assert (ended.ended_at is not None, ended.moved) == (True, EACH + 3)
    assert folders.keys("old") == []


def test_amounts_tell_what_is_where(folders: Folders, database: Database) -> None:
    bench = folders.bench(database, folders.storage("new old", later="third"))
    bench.keep(instance(1))
    size = len(instance(1))
    amounts = {item.backend: item for item in bench.draining.index.amounts()}
    assert (amounts["new"].objects, amounts["new"].size) == (1, size)
    assert (amounts["old"].copies, amounts["old"].copies_size) == (1, size)
    assert (amounts["third"].copies, amounts["third"].due) == (0, 1)


def test_verification_finds_nothing_odd_in_the_middle_of_a_drain(
    folders: Folders, old: Bench, database: Database
) -> None:
    bench = folders.bench(database, folders.storage("new", drain="old"))
    bench.draining.begin("old", "", ORIGIN, 600)
    asked = iter([False] * 3)
    bench.draining.work("old", ORIGIN, ONE, Watching(should_stop=lambda: next(asked, True)))
    found: list[Fault] = []
    how = HowToVerify(ORIGIN, young=0, repairs=True)
    bench.verification.everything(how, lambda finding: found.append(finding.fault))
    assert found == []
    assert {read(bench, number) for number in range(EACH)} == set(map(instance, range(EACH)))


class Meanwhile:
    """What others do while a backend is emptied, until it is over."""

    def __init__(self, old: Bench, bench: Bench) -> None:
        self._old, self._bench = old, bench
        self._is_over = threading.Event()

    def store(self) -> None:
        for number in range(100, 125):
            self._old.keep(instance(number))

    def look(self) -> None:
        while not self._is_over.is_set():
            for number in range(3):
                assert read(self._bench, number) == instance(number)

    def delete_and_restore(self) -> None:
        while not self._is_over.is_set():
            self._bench.trash.delete(InstanceUids("1.2", "1.2.0.1", "1.2.4"), ORIGIN)
            (entry,) = self._bench.trash.entries()
            assert self._bench.trash.restore(entry.trash_id, ORIGIN).restored == 1

    def while_draining(self) -> None:
        """Drain until nothing is stored any more and nothing is left."""
        with ThreadPoolExecutor(3) as threads:
            others = [threads.submit(self.look), threads.submit(self.delete_and_restore)]
            storing = threads.submit(self.store)
            try:
                while not storing.done() or self._bench.draining.index.left("old").is_named:
                    self._bench.draining.work("old", ORIGIN)
            finally:
                self._is_over.set()
            for work in (*others, storing):
                work.result()


def test_who_stores_reads_deletes_and_restores_meanwhile_notices_nothing(
    folders: Folders, old: Bench, database: Database
) -> None:
    bench = folders.bench(database, folders.storage("new third", drain="old"))
    bench.draining.begin("old", "", ORIGIN, 600)
    Meanwhile(old, bench).while_draining()
    with database.connection() as connection:
        connection.execute("UPDATE left_object SET goes_at = now()")
    bench.draining.remove_moved()
    assert folders.keys("old") == []
    for number in (*range(EACH), *range(100, 125)):
        assert where(bench, number) == ["new"]
        assert read(bench, number) == instance(number)
    assert bench.replication.work(ORIGIN) == EACH + 25
    assert where(bench, 100) == ["new", "third"]
    assert is_consistent(bench)
