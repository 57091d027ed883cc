"""Storing: blob first, index second; nothing merged, overwritten or dropped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import psycopg
import pytest
from psycopg import pq

from storage_backends.base import Digest, ObjectInfo
from storage_backends.errors import BackendFull
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from tests import samples
from tests.services.conftest import Bench, make_bench
from vna.dicom.part10 import file_meta
from vna.errors import Corrupt, InvalidInstance, MismatchedInstance, OutOfSpace, Unavailable
from vna.index import prepared
from vna.index.database import ATTEMPTS, Database
from vna.model.identifiers import Selection
from vna.model.instances import Outcome
from vna.services.copies import HEALED
from vna.services.storage import ObjectStore
from vna.services.store import Expected


def stored_objects(bench: Bench) -> int:
    return sum(1 for _ in bench.backend.scan())


def select(bench: Bench, sop_instance_uid: str) -> list[bytes]:
    found = bench.retrieve.select(Selection(sop_instance_uids=(sop_instance_uid,)))
    return [bench.retrieve.read(item, 0, item.location.length) for item in found]


@pytest.mark.parametrize("rows", [16, 512], ids=["in memory", "in a spool file"])
def test_stored_bytes_are_the_received_bytes(bench: Bench, rows: int) -> None:
    data = samples.ct(rows=rows)
    outcome = bench.keep(data)
    assert outcome.outcome is Outcome.STORED
    assert outcome.size == len(data)
    assert select(bench, outcome.uids.sop_instance_uid) == [data]


def test_the_same_content_again_is_a_duplicate_and_keeps_one_object(bench: Bench) -> None:
    data = samples.ct(rows=16, columns=16)
    first = bench.keep(data)
    assert bench.keep(data).outcome is Outcome.DUPLICATE
    assert stored_objects(bench) == 1
    assert select(bench, first.uids.sop_instance_uid) == [data]


def test_the_same_dataset_behind_other_file_meta_is_a_duplicate(bench: Bench) -> None:
    data = samples.small(SOPInstanceUID="1.2.3")
    bench.keep(data)
    other_preamble = b"II*\0" + data[4:]
    assert bench.keep(other_preamble).outcome is Outcome.DUPLICATE


def test_the_same_uid_with_other_content_keeps_both_and_lists_the_conflict(bench: Bench) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.9"}
    first = samples.small(**uids, PatientComments="one")
    second = samples.small(**uids, PatientComments="two")
    bench.keep(first)
    outcome = bench.keep(second)
    assert outcome.outcome is Outcome.CONFLICT
    assert outcome.conflict_id is not None
    assert stored_objects(bench) == 2
    assert select(bench, "1.2.3") == [first]
    again = bench.keep(second)
    assert again.outcome in {Outcome.CONFLICT, Outcome.DUPLICATE}
    assert stored_objects(bench) == 2, "the same conflicting version is kept once"


def only_key(bench: Bench) -> str:
    (info,) = bench.backend.scan()
    return info.key


def lose(bench: Bench, key: str) -> None:
    bench.backend.delete(key)


def damage(bench: Bench, key: str) -> None:
    """Turn a bit round, behind the archive's back."""
    assert isinstance(bench.backend, FilesystemBackend)
    (path,) = bench.store_directory.rglob(key.rsplit("/", 1)[1])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def cut_short(bench: Bench, key: str) -> None:
    (path,) = bench.store_directory.rglob(key.rsplit("/", 1)[1])
    path.chmod(0o600)
    os.truncate(path, 10)


def test_a_range_behind_the_end_of_an_object_is_damage_and_no_outage(bench: Bench) -> None:
    outcome = bench.keep(samples.small())
    cut_short(bench, only_key(bench))
    (kept,) = bench.retrieve.select(Selection(sop_instance_uids=(outcome.uids.sop_instance_uid,)))
    objects = ObjectStore({bench.backend.name: bench.backend}, bench.backend.name)
    with pytest.raises(Corrupt, match="cut short"):
        objects.open(kept.location, start=100, length=10)


@pytest.mark.parametrize("harm", [lose, damage, cut_short])
@pytest.mark.parametrize("preamble", [b"\0\0\0\0", b"II*\0"])
def test_sending_again_heals_what_was_lost_or_damaged(
    bench: Bench, harm: Callable[[Bench, str], None], preamble: bytes
) -> None:
    data = samples.multiframe(3, SOPInstanceUID="1.2.3")
    bench.keep(data)
    harm(bench, only_key(bench))
    again = preamble + data[4:]
    outcome = bench.keep(again)
    assert outcome.outcome is Outcome.DUPLICATE
    assert HEALED in outcome.warnings
    assert select(bench, "1.2.3") == [again]
    assert bench.keep(again).warnings == ()


def test_sending_a_conflicting_version_again_heals_it_too(bench: Bench) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.9"}
    bench.keep(samples.small(**uids, PatientComments="one"))
    visible = only_key(bench)
    other = samples.small(**uids, PatientComments="two")
    bench.keep(other)
    (lost,) = [info.key for info in bench.backend.scan() if info.key != visible]
    bench.backend.delete(lost)
    assert HEALED in bench.keep(other).warnings
    assert stored_objects(bench) == 2
    (conflict,) = bench.index.conflicts()
    assert conflict.location is not None
    assert bench.backend.stat(conflict.location.key).size == len(other)


@pytest.mark.parametrize("losses", [1, 3, ATTEMPTS])
@pytest.mark.parametrize("is_conflict", [False, True])
def test_an_object_stays_while_nobody_knows_whether_its_row_was_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, losses: int, *, is_conflict: bool
) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.9"}
    if is_conflict:
        bench.keep(samples.small(**uids, PatientComments="one"))
    result_of, left = prepared._result_before_sync, iter(range(losses))

    def lose_the_confirmation(server: pq.abc.PGconn) -> pq.abc.PGresult:
        result = result_of(server)
        if next(left, None) is not None:
            raise psycopg.OperationalError("the connection was lost")
        return result

    monkeypatch.setattr(prepared, "_result_before_sync", lose_the_confirmation)
    data = samples.small(**uids, PatientComments="two")
    if losses < ATTEMPTS:
        assert bench.keep(data).outcome is (Outcome.CONFLICT if is_conflict else Outcome.STORED)
    else:
        with pytest.raises(Unavailable):
            bench.keep(data)
    assert stored_objects(bench) == 1 + is_conflict
    again = bench.keep(data)
    assert again.outcome is (Outcome.CONFLICT if is_conflict else Outcome.DUPLICATE)
    assert again.warnings == (), "the object that was committed is there"
    assert stored_objects(bench) == 1 + is_conflict


def test_the_same_bytes_under_another_transfer_syntax_are_no_duplicate(bench: Bench) -> None:
    elements = samples.identity(SOPInstanceUID="1.2.3")
    body = samples.dataset(elements)
    for number, syntax in enumerate(("1.2.3.4.5.6", samples.JPEG_BASELINE)):
        file = file_meta(samples.SECONDARY_CAPTURE, "1.2.3", syntax) + body
        outcome = bench.keep(file)
        assert outcome.transfer_syntax_uid == syntax
        assert outcome.outcome is (Outcome.CONFLICT if number else Outcome.STORED)
    assert stored_objects(bench) == 2


def test_a_dataset_of_another_instance_than_announced_is_refused(bench: Bench) -> None:
    with pytest.raises(MismatchedInstance, match=r"1\.2\.4 was announced, the dataset is 1\.2\.3"):
        bench.keep(samples.small(SOPInstanceUID="1.2.3"), Expected(sop_instance_uid="1.2.4"))
    assert stored_objects(bench) == 0
    assert select(bench, "1.2.3") == []


def test_a_dataset_of_another_study_than_announced_is_refused(bench: Bench) -> None:
    data = samples.small(StudyInstanceUID="1.2")
    with pytest.raises(MismatchedInstance, match="belongs to study"):
        bench.keep(data, Expected(study_instance_uid="1.3"))


@pytest.mark.parametrize("data", [b"", b"\0" * 200, b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000])
def test_what_is_no_instance_is_refused_and_leaves_nothing(bench: Bench, data: bytes) -> None:
    with pytest.raises(InvalidInstance):
        bench.keep(data)
    assert stored_objects(bench) == 0


def test_a_uid_that_looks_like_a_path_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInstance, match="SOP Instance UID"):
        bench.keep(samples.small(SOPInstanceUID="../../etc/passwd"))
    assert stored_objects(bench) == 0


def test_an_instance_without_study_and_series_gets_derived_ones_that_repeat(bench: Bench) -> None:
    elements = samples.identity(SOPInstanceUID="1.2.3")
    del elements["StudyInstanceUID"], elements["SeriesInstanceUID"]
    data = samples.part10(elements)
    outcome = bench.keep(data)
    assert outcome.uids.study_instance_uid.startswith("2.25.")
    assert outcome.warnings
    assert bench.keep(data).uids == outcome.uids
    assert select(bench, "1.2.3") == [data]


class FullBackend(MemoryBackend):
    """A store without room."""

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        raise BackendFull("no room left in the test store")


def test_a_full_store_keeps_nothing_and_says_so(database: Database, tmp_path: Path) -> None:
    bench = make_bench(database, FullBackend(), tmp_path / "spool")
    with pytest.raises(OutOfSpace, match="make room"):
        bench.keep(samples.small(SOPInstanceUID="1.2.3"))
    assert select(bench, "1.2.3") == []


def test_without_a_database_nothing_is_acknowledged(tmp_path: Path) -> None:
    gone = Database(f"postgresql://nobody@/none?host={tmp_path}", pool_size=1, connect_timeout=0.5)
    bench = make_bench(gone, MemoryBackend(), tmp_path / "spool")
    for _ in range(3):
        with pytest.raises(Unavailable):
            bench.keep(samples.small())
    assert stored_objects(bench) == 0, "nothing is kept that the index could not be told of"
    gone.close()


def test_it_goes_on_as_soon_as_the_database_is_back(bench: Bench) -> None:
    bench.store._is_index_in_doubt = True
    assert bench.keep(samples.small()).outcome is Outcome.STORED
    assert not bench.store._is_index_in_doubt
