"""What was deleted does not come back by an object that was left behind, and no object is taken for its own copy."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from storage_backends.digests import digest_of
from storage_backends.errors import BackendUnavailable
from storage_backends.filesystem import FilesystemBackend
from tests.index.dump import counts
from tests.services.conftest import ORIGIN, Bench, make_bench_over
from tests.services.several_stores import STUDY, Folders, instance, places, read
from vna.config_storage import BackendConfig, StorageConfig
from vna.index.database import Database
from vna.model.identifiers import InstanceUids
from vna.model.verification import Fault, Finding
from vna.services.verification import HowToVerify

REPAIR = HowToVerify(ORIGIN, young=0, repairs=True)
KEY = "2026/01/01/0000/orphan.dcm"
SERIES = "1.2.0.1"


@pytest.fixture
def bench(folders: Folders, database: Database) -> Bench:
    """Two instances in a and b."""
    bench = folders.bench(database, folders.storage("a b"))
    for number in range(2):
        bench.keep(instance(number))
    return bench


def leave(folders: Folders, data: bytes) -> Path:
    """An object that nobody named, as a killed process leaves it."""
    folders.backends["c"].put(KEY, io.BytesIO(data), size=len(data), digest=digest_of(data))
    (file,) = folders.directory.joinpath("c").rglob(Path(KEY).name)
    return file


def repaired(bench: Bench) -> list[Finding]:
    listed: list[Finding] = []
    bench.verification.everything(REPAIR, listed.append)
    return listed


@pytest.mark.parametrize(
    "deleted", [("", ""), (SERIES, ""), (SERIES, "1.2.1")], ids=["study", "series", "instance"]
)
def test_what_was_swept_stays_away(
    deleted: tuple[str, str], bench: Bench, folders: Folders, database: Database
) -> None:
    leave(folders, instance(1))
    bench.trash.delete(InstanceUids(STUDY, *deleted), ORIGIN)
    bench.trash.sweep(ORIGIN, days=0)
    before = counts(database, "instance", "conflict", "location")
    (listed,) = repaired(bench)
    assert (listed.fault, listed.repaired) == (Fault.ORPHAN, "")
    assert "deleted" in listed.detail
    assert folders.keys("c") == [KEY]
    told: list[str] = []
    bench.rebuilding.rebuild(ORIGIN, lambda _, reason: told.append(reason))
    assert len(told) == 1
    assert counts(database, "instance", "conflict", "location") == before


@pytest.mark.parametrize(
    "deleted", [("9.9", ""), (SERIES, "1.2.0")], ids=["another series", "another instance"]
)
def test_what_others_deleted_is_no_hindrance(
    deleted: tuple[str, str], bench: Bench, folders: Folders
) -> None:
    leave(folders, instance(7))
    series, uid = deleted
    if series == "9.9":
        series = "1.2.0.0"
        bench.keep(instance(5, modality="MR"))
    bench.trash.delete(InstanceUids(STUDY, series, uid), ORIGIN)
    bench.trash.sweep(ORIGIN, days=0)
    (listed,) = repaired(bench)
    assert listed.repaired.startswith("adopted")


def test_what_came_after_the_sweep_is_adopted(bench: Bench, folders: Folders) -> None:
    bench.trash.delete(InstanceUids(STUDY, "", ""), ORIGIN)
    bench.trash.sweep(ORIGIN, days=0)
    file = leave(folders, instance(1))
    later = time.time() + 86_400
    os.utime(file, (later, later))
    (listed,) = repaired_later(bench)
    assert listed.repaired.startswith("adopted")
    assert read(bench, 1) == instance(1)


def repaired_later(bench: Bench) -> list[Finding]:
    """As though two days had passed, for objects of tomorrow."""
    listed: list[Finding] = []
    how = HowToVerify(ORIGIN, young=-172_800, repairs=True)
    bench.verification.everything(how, listed.append)
    return listed


def test_the_healthy_orphan_of_what_is_lost_in_the_trash_stays_for_its_restoring(
    bench: Bench, folders: Folders, database: Database
) -> None:
    here = places(bench, 1)
    bench.trash.delete(InstanceUids(STUDY, "", ""), ORIGIN)
    for place in here:
        folders.backends[place.backend].delete(place.key)
    leave(folders, instance(1))
    assert {item.repaired for item in repaired(bench)} == {""}
    assert counts(database, "instance") == [0]
    (entry,) = bench.trash.entries()
    bench.trash.restore(entry.trash_id, ORIGIN)
    repaired(bench)
    assert read(bench, 1) == instance(1)


def test_another_version_of_what_is_in_the_trash_is_not_shown(
    bench: Bench, folders: Folders, database: Database
) -> None:
    bench.trash.delete(InstanceUids(STUDY, "", ""), ORIGIN)
    leave(folders, instance(1, "other content"))
    (listed,) = repaired(bench)
    assert listed.repaired == ""
    assert "trash" in listed.detail
    assert counts(database, "instance") == [0]
    assert folders.keys("c") == [KEY]


def test_what_is_swept_in_part_stays_away(
    bench: Bench, folders: Folders, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(folders, instance(1))
    bench.trash.delete(InstanceUids(STUDY, "", ""), ORIGIN)

    def away(_key: str) -> None:
        raise BackendUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(folders.backends["b"], "delete", away)
        assert bench.trash.sweep(ORIGIN, days=0).failed == 2
    (orphan,) = [item for item in repaired(bench) if item.fault is Fault.ORPHAN]
    assert orphan.repaired == ""
    assert counts(database, "instance") == [0]


@pytest.mark.parametrize("copies", [("a",), ("a", "twin")], ids=["not wanted", "wanted"])
def test_one_place_under_two_names_loses_nothing(
    copies: tuple[str, ...], tmp_path: Path, database: Database
) -> None:
    """As by two addresses of one bucket, which no comparison of the configuration shows."""
    backends = {name: FilesystemBackend(tmp_path / "store") for name in ("a", "twin")}
    for name, backend in backends.items():
        backend.name = name
    alone = make_bench_over(database, {"a": backends["a"]}, StorageConfig("a"), tmp_path / "spool")
    alone.keep(instance(1))
    storage = StorageConfig(
        "a", copies=copies, backends={name: BackendConfig(name) for name in backends}
    )
    bench = make_bench_over(database, backends, storage, tmp_path / "spool")
    for listed in repaired(bench):
        assert listed.repaired == ""
        assert "one place" in listed.detail
    bench.rebuilding.rebuild(ORIGIN, lambda *_: None)
    assert len(places(bench, 1)) == 1
    assert read(bench, 1) == instance(1)
    assert len(list(backends["a"].scan())) == 1


def test_a_mirror_under_the_same_keys_becomes_a_copy(bench: Bench, folders: Folders) -> None:
    (first, _) = places(bench, 1)
    data = instance(1)
    folders.backends["c"].put(first.key, io.BytesIO(data), size=len(data), digest=digest_of(data))
    bench.rebuilding.rebuild(ORIGIN, lambda *_: None)
    assert len(places(bench, 1)) == 3
