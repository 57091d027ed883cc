"""Verification with real objects: each kind of fault is found, what can be mended is, nothing else is touched."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_backends.base import Digest, ObjectInfo
from storage_backends.digests import digest_of
from storage_backends.errors import BackendUnavailable
from tests import samples
from tests.services.conftest import ORIGIN, Bench
from vna.errors import Unavailable
from vna.index.database import Database
from vna.model.identifiers import InstanceUids, Selection
from vna.model.instances import Location
from vna.model.verification import Fault, Finding, KeptRow, Run, Tally
from vna.services.merging import merged
from vna.services.pace import Pace
from vna.services.verification import HowToVerify

HOW = HowToVerify(ORIGIN, young=0)
QUICK = HowToVerify(ORIGIN, is_deep=False, young=0)
REPAIR = HowToVerify(ORIGIN, repairs=True, young=0)


def instance(number: int, comments: str = "") -> bytes:
    return samples.small(
        SOPInstanceUID=f"1.2.{number}",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.0",
        PatientComments=comments,
    )


def keep(bench: Bench, *numbers: int) -> None:
    for number in numbers:
        bench.keep(instance(number))


def location(bench: Bench, number: int) -> Location:
    (found,) = bench.retrieve.select(Selection(sop_instance_uids=(f"1.2.{number}",)))
    return found.location


def path(bench: Bench, number: int) -> Path:
    (found,) = bench.store_directory.rglob(location(bench, number).key.rpartition("/")[2])
    return found


def damage(bench: Bench, number: int) -> None:
    file = path(bench, number)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o640)
    file.write_bytes(bytes(data))


def verified(bench: Bench, how: HowToVerify = HOW) -> list[Finding]:
    found: list[Finding] = []
    run = bench.verification.everything(how, found.append)
    assert run.ended_at is not None
    assert run.faults == sum(not finding.repaired for finding in found)
    return found


def faults(found: list[Finding]) -> list[tuple[Fault, str]]:
    return [(finding.fault, finding.uids.sop_instance_uid) for finding in found]


def orphan(bench: Bench, data: bytes, key: str = "2026/01/01/0000/orphan.dcm") -> None:
    bench.backend.put(key, io.BytesIO(data), size=len(data), digest=digest_of(data))


def test_an_archive_as_it_should_be_has_no_faults(bench: Bench) -> None:
    keep(bench, 1, 2, 3)
    bench.keep(instance(1, "other content"))
    bench.trash.delete(InstanceUids("1.2", "1.2.0", "1.2.3"), ORIGIN)
    assert verified(bench) == []
    (run, *_) = bench.verification.index.runs()
    size = sum(info.size for info in bench.backend.scan())
    assert (run.objects, run.size, run.faults) == (4, size, 0)


def test_a_lost_object_is_missing(bench: Bench) -> None:
    keep(bench, 1, 2)
    bench.backend.delete(location(bench, 1).key)
    for how in (HOW, QUICK):
        assert faults(verified(bench, how)) == [(Fault.MISSING, "1.2.1")]


def test_changed_bytes_are_found_by_reading_only(bench: Bench) -> None:
    keep(bench, 1, 2)
    damage(bench, 2)
    assert faults(verified(bench)) == [(Fault.CORRUPT, "1.2.2")]
    assert verified(bench, QUICK) == []


def test_a_truncated_object_is_found_without_reading(bench: Bench) -> None:
    keep(bench, 1)
    file = path(bench, 1)
    file.chmod(0o640)
    file.write_bytes(file.read_bytes()[:-1])
    for how in (HOW, QUICK):
        assert faults(verified(bench, how)) == [(Fault.CORRUPT, "1.2.1")]


def test_what_lies_in_conflict_or_in_the_trash_is_looked_at_too(bench: Bench) -> None:
    keep(bench, 1, 2)
    bench.keep(instance(1, "other content"))
    bench.trash.delete(InstanceUids("1.2", "1.2.0", "1.2.2"), ORIGIN)
    for info in list(bench.backend.scan()):
        if info.key != location(bench, 1).key:
            bench.backend.delete(info.key)
    found = verified(bench)
    assert sorted((item.owner, item.uids.sop_instance_uid) for item in found) == [
        ("conflict", "1.2.1"),
        ("trash", "1.2.2"),
    ]


def test_an_object_without_a_row_is_an_orphan_once_it_is_old(bench: Bench) -> None:
    keep(bench, 1)
    orphan(bench, instance(7))
    assert verified(bench, HowToVerify(ORIGIN)) == []
    (found,) = verified(bench)
    assert (found.fault, found.uids) == (Fault.ORPHAN, InstanceUids("1.2", "1.2.0", "1.2.7"))
    assert found.location.key.endswith("orphan.dcm")


def test_what_is_no_dicom_is_foreign_and_stays(bench: Bench) -> None:
    orphan(bench, b"no image at all", "readme.txt")
    for how in (HOW, REPAIR):
        assert [finding.fault for finding in verified(bench, how)] == [Fault.FOREIGN]
    assert [info.key for info in bench.backend.scan()] == ["readme.txt"]


def test_repair_adopts_an_orphan_where_it_lies(bench: Bench) -> None:
    keep(bench, 1)
    orphan(bench, instance(7))
    (found,) = verified(bench, REPAIR)
    assert found.repaired.startswith("adopted")
    assert location(bench, 7).key.endswith("orphan.dcm")
    assert verified(bench) == []


def test_repair_removes_a_second_copy_only_when_the_first_is_intact(bench: Bench) -> None:
    keep(bench, 1)
    orphan(bench, instance(1))
    (found,) = verified(bench, REPAIR)
    assert found.repaired.startswith("not needed")
    assert [info.key for info in bench.backend.scan()] == [location(bench, 1).key]
    assert verified(bench) == []


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_an_orphan_takes_the_place_of_a_bad_copy(bench: Bench, harm: str) -> None:
    keep(bench, 1)
    orphan(bench, instance(1), "zzz/orphan.dcm")
    if harm == "lost":
        bench.backend.delete(location(bench, 1).key)
    else:
        damage(bench, 1)
    found = verified(bench, REPAIR)
    assert found[-1].repaired.startswith("not needed")
    assert location(bench, 1).key == "zzz/orphan.dcm"
    assert bench.retrieve.read(
        bench.retrieve.select(Selection(sop_instance_uids=("1.2.1",)))[0], 0, len(instance(1))
    ) == instance(1)


def test_an_orphan_of_other_content_is_listed_in_conflict(bench: Bench) -> None:
    keep(bench, 1)
    orphan(bench, instance(1, "other content"))
    (found,) = verified(bench, REPAIR)
    assert "conflict" in found.repaired
    assert len(bench.index.conflicts()) == 1
    assert verified(bench) == []


def test_without_repair_nothing_changes(bench: Bench) -> None:
    keep(bench, 1, 2)
    orphan(bench, instance(7))
    orphan(bench, instance(1), "zzz/copy.dcm")
    bench.backend.delete(location(bench, 2).key)
    before = sorted(info.key for info in bench.backend.scan())
    verified(bench)
    assert sorted(info.key for info in bench.backend.scan()) == before
    assert not bench.retrieve.select(Selection(sop_instance_uids=("1.2.7",)))


def test_a_store_that_cannot_read_an_object_says_nothing_of_its_bytes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bench, 1)

    def broken(key: str, **_: object) -> object:
        raise BackendUnavailable(f"{key}: input/output error")

    monkeypatch.setattr(bench.backend, "open", broken)
    assert faults(verified(bench)) == [(Fault.UNREADABLE, "1.2.1")]


def test_a_store_that_is_away_ends_the_run_to_be_gone_on_with(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bench, 1)
    with monkeypatch.context() as patch:
        patch.setattr(bench.backend, "scan", _away)
        with pytest.raises(Unavailable):
            bench.verification.everything(HOW)
    assert verified(bench) == []
    assert len(bench.verification.index.runs()) == 1


def _away(*_: object, **__: object) -> object:
    raise BackendUnavailable("the store is away")


def test_a_run_that_was_stopped_goes_on_where_it_was(bench: Bench) -> None:
    keep(bench, *range(1, 41))
    damage(bench, 3)
    seen, found = list[int](), list[Finding]()

    def look(_run: Run, tally: Tally) -> None:
        seen.append(tally.objects)

    how = HowToVerify(ORIGIN, young=0, threads=1)
    run = bench.verification.everything(how, found.append, look, lambda: len(seen) >= 10)
    assert run.ended_at is None
    assert 10 <= run.objects < 40
    run = bench.verification.everything(how, found.append)
    assert run.ended_at is not None
    assert (run.objects, run.faults) == (40, 1)
    assert faults(found) == [(Fault.CORRUPT, "1.2.3")]
    (kept,) = bench.verification.index.findings(run.run_id)
    assert (kept.fault, kept.uids.sop_instance_uid) == (Fault.CORRUPT, "1.2.3")
    assert bench.verification.everything(how).run_id != run.run_id


def test_a_study_alone_and_a_sample(bench: Bench) -> None:
    keep(bench, 1, 2)
    bench.keep(samples.small(StudyInstanceUID="1.9", SOPInstanceUID="1.9.1"))
    damage(bench, 1)
    index, found = bench.verification.index, list[Finding]()
    tally = bench.verification.rows(index.rows_of_study("1.2"), HOW, found.append)
    assert (tally.objects, tally.left) == (2, 1)
    assert faults(found) == [(Fault.CORRUPT, "1.2.1")]
    assert bench.verification.rows(index.rows_of_study("1.9"), HOW, found.append).left == 0
    assert {row.uids.sop_instance_uid for row in index.sample(10)} == {"1.2.1", "1.2.2", "1.9.1"}
    assert len(index.sample(2)) == 2


def test_what_is_deleted_meanwhile_is_no_fault(bench: Bench) -> None:
    keep(bench, 1, 2)
    rows = bench.verification.index.rows_of_study("1.2")
    bench.trash.delete(InstanceUids("1.2", "", ""), ORIGIN)
    bench.trash.sweep(ORIGIN, days=0)
    found: list[Finding] = []
    assert bench.verification.rows(rows, HOW, found.append).left == 0
    assert found == []


def test_rows_come_by_key_over_pages(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(bench, *range(1, 8))
    monkeypatch.setattr("vna.index.verification._PAGE", 2)
    name = bench.backend.name
    keys = [row.location.key for row in bench.verification.index.rows(name)]
    assert keys == [info.key for info in bench.backend.scan()]
    behind = bench.verification.index.rows(name, after=keys[3])
    assert [row.location.key for row in behind] == keys[4:]


_KEYS = st.lists(st.sampled_from("abcdefgh"), unique=True).map(sorted)


@settings(deadline=None)
@given(there=_KEYS, named=_KEYS, twice=st.booleans())
def test_merging_gives_each_key_once(there: list[str], named: list[str], twice: bool) -> None:
    objects = [ObjectInfo(key, 1, 0.0) for key in there]
    digest = Digest("blake3", "")
    rows = [
        KeptRow("instance", InstanceUids("", "", key), Location("x", key, offset, 1), digest)
        for key in named
        for offset in ((0, 1) if twice else (0,))
    ]
    found = list(merged(objects, rows))
    assert [key for key, _, _ in found] == sorted({*there, *named})
    for key, info, of_key in found:
        assert (info is not None) == (key in there)
        assert len(of_key) == (key in named) * (2 if twice else 1)


def test_a_pace_makes_all_wait_together() -> None:
    waits: list[float] = []
    pace = Pace(1000, waits.append)
    for _ in range(4):
        pace(500)
    assert waits == sorted(waits)
    assert 1.9 < waits[-1] <= 2.0
    Pace(0, waits.append)(10**9)
    assert len(waits) == 4
