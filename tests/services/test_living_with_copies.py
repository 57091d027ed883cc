"""Verification, repair, sweep, rebuild and commitment where the same object lies in several backends."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from storage_backends.digests import digest_of
from storage_backends.errors import BackendUnavailable
from tests.conftest import _CLEAN
from tests.index.dump import counts
from tests.services.conftest import ORIGIN, Bench
from tests.services.several_stores import Folders, found, instance, places, read, where
from vna.errors import ConfigError
from vna.index.commitments import CommitmentIndex
from vna.index.database import Database
from vna.index.jobs import JobQueue
from vna.index.kept_objects import KeptObjectIndex
from vna.model.commitment import CommitmentRequest, FailureReason, Reference
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Location
from vna.model.verification import Adoption, Fault, Finding, Part
from vna.services.commitment import CommitmentService
from vna.services.sources import Sources
from vna.services.verification import HowToVerify

HOW = HowToVerify(ORIGIN, young=0)
REPAIR = HowToVerify(ORIGIN, young=0, repairs=True)
EACH = 4


@pytest.fixture
def bench(folders: Folders, database: Database) -> Bench:
    """Everything in a and b."""
    bench = folders.bench(database, folders.storage("a b"))
    for number in range(EACH):
        bench.keep(instance(number))
    return bench


def verified(bench: Bench, how: HowToVerify = HOW) -> list[Finding]:
    listed: list[Finding] = []
    run = bench.verification.everything(how, listed.append)
    assert run.ended_at is not None
    return listed


def put(folders: Folders, name: str, data: bytes, key: str = "2026/01/01/0000/orphan.dcm") -> None:
    folders.backends[name].put(key, io.BytesIO(data), size=len(data), digest=digest_of(data))


def test_copies_are_verified_as_locations_are(bench: Bench) -> None:
    assert verified(bench) == []
    (run, *_) = bench.verification.index.runs()
    assert (run.objects, run.size) == (2 * EACH, 2 * sum(len(instance(n)) for n in range(EACH)))


@pytest.mark.parametrize("which", [0, 1], ids=["location", "copy"])
@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_repair_writes_anew_what_is_broken(
    which: int, harm: str, bench: Bench, folders: Folders
) -> None:
    broken = places(bench, 1)[which]
    if harm == "lost":
        folders.backends[broken.backend].delete(broken.key)
    else:
        folders.damage(broken)
    fault = Fault.MISSING if harm == "lost" else Fault.CORRUPT
    (seen,) = verified(bench)
    assert (seen.fault, seen.location, seen.repaired) == (fault, broken, "")
    (mended,) = verified(bench, REPAIR)
    assert mended.repaired == "written anew from a healthy copy"
    assert sorted(where(bench, 1)) == ["a", "b"]
    assert broken not in places(bench, 1)
    assert read(bench, 1) == instance(1)


def test_what_is_left_of_a_healed_object_goes_when_a_person_says_so(
    bench: Bench, folders: Folders
) -> None:
    broken = places(bench, 1)[0]
    folders.damage(broken)
    verified(bench, REPAIR)
    (left,) = verified(bench)
    assert (left.fault, left.location) == (Fault.REPLACED, broken)
    assert len(folders.keys("a")) == EACH + 1
    (left,) = verified(bench, REPAIR)
    assert left.repaired.startswith("removed")
    assert len(folders.keys("a")) == EACH
    assert verified(bench) == []
    assert bench.index.conflicts() == []


def test_what_is_left_stays_while_what_stands_in_its_place_is_broken(
    bench: Bench, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.damage(places(bench, 1)[0])
    verified(bench, REPAIR)
    folders.damage(found(bench, 1).location)
    monkeypatch.setattr(bench.replication, "heal", lambda *_: None)
    listed = verified(bench, REPAIR)
    assert sorted(item.fault for item in listed) == [Fault.CORRUPT, Fault.REPLACED]
    assert {item.repaired for item in listed} == {""}
    assert len(folders.keys("a")) == EACH + 1


def test_nothing_is_left_of_what_was_lost(
    bench: Bench, folders: Folders, database: Database
) -> None:
    lost = places(bench, 1)[0]
    folders.backends["a"].delete(lost.key)
    verified(bench, REPAIR)
    assert bench.draining.index.left("a").damaged == 1
    assert verified(bench, REPAIR) == []
    assert bench.draining.index.left("a").damaged == 0


def test_when_all_are_broken_nothing_is_changed(bench: Bench, folders: Folders) -> None:
    before = places(bench, 1)
    for place in before:
        folders.damage(place)
    listed = verified(bench, REPAIR)
    assert [(item.fault, item.repaired) for item in listed] == [(Fault.CORRUPT, "")] * 2
    assert places(bench, 1) == before


def test_one_backend_alone(bench: Bench, folders: Folders) -> None:
    for place in places(bench, 1):
        folders.damage(place)
    (seen,) = verified(bench, HowToVerify(ORIGIN, young=0, only="b"))
    assert seen.location.backend == "b"
    (run, *_) = bench.verification.index.runs()
    assert (run.only, run.objects) == ("b", EACH)
    with pytest.raises(ConfigError, match="no backend 'x'"):
        verified(bench, HowToVerify(ORIGIN, only="x"))


def test_a_study_and_a_sample_have_their_copies_too(bench: Bench) -> None:
    index = bench.verification.index
    rows = index.rows_of_study("1.2")
    assert len(rows) == len(index.sample(100)) == 2 * EACH
    copies = [row for row in rows if row.part is Part.COPY]
    assert {row.of for row in copies} == {found(bench, n).location for n in range(EACH)}
    assert bench.verification.rows(rows, HOW, print).left == 0


def test_rows_in_a_backend_that_is_not_configured_are_listed(
    bench: Bench, folders: Folders, database: Database
) -> None:
    less = Folders(folders.directory, "a")
    without = less.bench(database, less.storage("a"))
    listed = verified(without)
    assert {(item.fault, item.location.backend) for item in listed} == {(Fault.UNREADABLE, "b")}
    assert len(listed) == EACH
    less.close()


def test_an_orphan_that_the_rules_want_there_becomes_a_copy(
    folders: Folders, database: Database
) -> None:
    one = folders.bench(database, folders.storage("a"))
    one.keep(instance(1))
    put(folders, "b", instance(1))
    bench = folders.bench(database, folders.storage("a b"))
    (adopted,) = verified(bench, REPAIR)
    assert "copy" in adopted.repaired
    assert where(bench, 1) == ["a", "b"]
    assert verified(bench) == []


def test_an_orphan_that_is_due_is_what_was_to_be_written(
    folders: Folders, database: Database
) -> None:
    bench = folders.bench(database, folders.storage("a", later="b"))
    bench.keep(instance(1))
    put(folders, "b", instance(1))
    verified(bench, REPAIR)
    assert where(bench, 1) == ["a", "b"]
    assert bench.replication.work(ORIGIN) == 0
    assert len(folders.keys("b")) == 1


@pytest.mark.parametrize("name", ["b", "c"], ids=["is a copy already", "nobody wants it"])
def test_an_orphan_that_is_one_too_many_is_removed(
    name: str, bench: Bench, folders: Folders
) -> None:
    before = folders.keys(name)
    put(folders, name, instance(1))
    (listed,) = verified(bench, REPAIR)
    assert listed.repaired.startswith("not needed")
    assert folders.keys(name) == before
    assert where(bench, 1) == ["a", "b"]


def test_an_orphan_that_can_not_be_read_stalls_nothing(
    bench: Bench, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folders, "b", instance(7))
    opened = folders.backends["b"].open

    def broken(key: str, *, start: int = 0, length: int | None = None) -> object:
        if key.endswith("orphan.dcm"):
            raise BackendUnavailable("input/output error")
        return opened(key, start=start, length=length)

    monkeypatch.setattr(folders.backends["b"], "open", broken)
    assert [item.fault for item in verified(bench, REPAIR)] == [Fault.UNREADABLE]


def test_a_sweep_removes_copies_and_what_is_left_behind(
    bench: Bench, folders: Folders, database: Database
) -> None:
    folders.damage(places(bench, 1)[0])
    verified(bench, REPAIR)
    bench.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
    assert len(folders.keys("a")) == EACH + 1
    assert bench.trash.sweep(ORIGIN, days=0).items == EACH
    assert folders.keys("a") == folders.keys("b") == []
    assert counts(database, "location", "copy", "left_object") == [0, 0, 0]


def test_a_sweep_that_can_not_remove_a_copy_tries_again(
    bench: Bench, folders: Folders, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)

    def away(_key: str) -> None:
        raise BackendUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(folders.backends["b"], "delete", away)
        assert bench.trash.sweep(ORIGIN, days=0).failed == EACH
    assert (len(folders.keys("a")), len(folders.keys("b"))) == (0, EACH)
    assert bench.trash.sweep(ORIGIN, days=0).items == EACH
    assert folders.keys("b") == []


def test_a_copy_that_is_due_of_what_is_swept_is_not_written(
    folders: Folders, database: Database
) -> None:
    bench = folders.bench(database, folders.storage("a", later="b"))
    bench.keep(instance(1))
    (due,) = bench.index.replicas.take(10, 60.0)
    bench.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
    bench.trash.sweep(ORIGIN, days=0)
    place = Location("b", "2026/01/01/0000/late.dcm", 0, due.of.length)
    assert not bench.index.replicas.written(due, place, due.of, ORIGIN)


def test_copies_follow_into_the_trash_and_back(bench: Bench, folders: Folders) -> None:
    before = places(bench, 1)
    bench.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
    assert verified(bench) == []
    (entry,) = bench.trash.entries()
    bench.trash.restore(entry.trash_id, ORIGIN)
    assert places(bench, 1) == before


def test_what_was_deleted_does_not_come_back_by_an_orphan(
    bench: Bench, folders: Folders, database: Database
) -> None:
    put(folders, "c", instance(1))
    bench.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
    (listed,) = verified(bench, REPAIR)
    assert listed.repaired.startswith("not needed")
    assert folders.keys("c") == []
    assert counts(database, "instance") == [0]


def forget(database: Database) -> None:
    with database.connection() as connection:
        connection.execute(_CLEAN)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_rebuild_makes_copies_of_what_lies_in_two_backends(
    threads: int, folders: Folders, database: Database
) -> None:
    before = folders.bench(database, folders.storage("b a", later="c"))
    for number in range(EACH):
        before.keep(instance(number))
    before.keep(instance(1, "other content"))
    before.replication.work(ORIGIN)
    kept = {name: folders.keys(name) for name in "abc"}
    forget(database)
    bench = folders.bench(database, folders.storage("b a", later="c"))
    rebuilt = bench.rebuilding.rebuild(ORIGIN, lambda *_: None, threads=threads)
    assert rebuilt.outcomes == {
        Adoption.STORED: EACH,
        Adoption.CONFLICT: 1,
        Adoption.COPY: 2 * (EACH + 1),
    }
    assert where(bench, 2) == ["b", "a", "c"]
    assert {name: folders.keys(name) for name in "abc"} == kept
    assert verified(bench) == []
    assert bench.replication.work(ORIGIN) == 0
    assert bench.rebuilding.rebuild(ORIGIN, lambda *_: None).objects == 0


def test_a_drained_backend_comes_last_in_a_rebuild(folders: Folders, database: Database) -> None:
    folders.bench(database, folders.storage("a b")).keep(instance(1))
    forget(database)
    bench = folders.bench(database, folders.storage("c", drain="a"))
    bench.rebuilding.rebuild(ORIGIN, lambda *_: None)
    assert where(bench, 1) == [
        "b",
        "a",
    ]


@pytest.fixture
def commitments(bench: Bench, database: Database) -> Iterator[CommitmentService]:
    service = CommitmentService(
        CommitmentIndex(database, JobQueue(database)),
        KeptObjectIndex(database),
        bench.objects,
        doubt=Sources(bench.index.replicas, bench.objects).doubt,
    )
    yield service
    service.close()


def reasons(service: CommitmentService, sop_class_uid: str, *numbers: int) -> list[int]:
    now = datetime.now(UTC).timestamp()
    request = CommitmentRequest(
        f"1.9.{now}".replace("-", ""),
        tuple(Reference(sop_class_uid, f"1.2.{number}") for number in numbers),
        Origin("dimse", "CT1"),
    )
    claim = service.request(request)
    assert claim is not None
    checked = service.check(claim, lambda: False)
    assert checked is not None
    return list(checked.commitment.reasons)


def test_a_copy_counts_as_kept(
    commitments: CommitmentService, bench: Bench, folders: Folders
) -> None:
    folders.damage(places(bench, 1)[0])
    for place in places(bench, 2):
        folders.damage(place)
    sop_class_uid = found(bench, 1).sop_class_uid
    kept, failed = FailureReason.KEPT, FailureReason.PROCESSING_FAILURE
    assert reasons(commitments, sop_class_uid, 0, 1, 2) == [kept, kept, failed]
    assert bench.replication.work(ORIGIN) == 1
    assert read(bench, 1) == instance(1)


def test_coverage_tells_what_was_read_and_when(bench: Bench, folders: Folders) -> None:
    before = {item.backend: item for item in bench.verification.coverage()}
    assert {name: item.share for name, item in before.items()} == {"a": 0.0, "b": 0.0, "c": 1.0}
    seen: list[int] = []

    def look(*_: object) -> None:
        seen.append(1)

    one = HowToVerify(ORIGIN, threads=1)
    bench.verification.everything(one, on_progress=look, should_stop=lambda: len(seen) >= 2)
    half = {item.backend: item for item in bench.verification.coverage()}
    assert half["a"].ended_at is None
    assert half["a"].open_since is not None
    assert half["a"].open_objects > 0
    bench.verification.everything(one)
    bench.keep(instance(50))
    whole = {item.backend: item for item in bench.verification.coverage()}
    assert (whole["a"].whole_objects, whole["a"].objects) == (EACH, EACH + 1)
    assert whole["b"].share == EACH / (EACH + 1)
    assert whole["a"].ended_at is not None
    folders.damage(places(bench, 50)[1])
    bench.verification.everything(one)
    last = {item.backend: item for item in bench.verification.coverage()}
    assert (last["a"].faults, last["b"].faults, last["b"].share) == (0, 1, 1.0)


def test_names_and_sizes_alone_cover_nothing(bench: Bench) -> None:
    bench.verification.everything(HowToVerify(ORIGIN, is_deep=False))
    assert {item.ended_at for item in bench.verification.coverage()} == {None}
