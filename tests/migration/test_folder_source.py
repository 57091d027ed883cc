"""Studies of folders, zip archives and DICOMDIRs: listed, fetched, adopted."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.migration.pacs import study_of
from tests.migration.taking import Taker, never
from vna.bootstrap_migration import opener_of
from vna.errors import ConfigError, InvalidInstance, Unavailable
from vna.migration.source_options import FolderOptions
from vna.migration.sources.base import SourceError, SupportsWalk, Unreadable
from vna.migration.sources.folder import FolderSource
from vna.model.migration import FoundInstance, FoundStudy, Scope, SourceSettings
from vna.spool import Spool, Spooled

if TYPE_CHECKING:
    from vna.bootstrap import Archive


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., FolderSource]]:
    """Opens a path below the test's folder as a source."""
    spool = Spool(tmp_path / "spool", 65_536)
    yield lambda path="tree", **options: FolderSource(
        FolderOptions(str(tmp_path / path), **options), spool
    )
    spool.close()


def fill(folder: Path, objects: list[bytes]) -> None:
    """Files 0, 1, 2 …"""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(objects):
        (folder / str(number)).write_bytes(data)


def listed(
    source: FolderSource, scope: Scope | None = None
) -> list[tuple[FoundStudy, FoundInstance]]:
    return [found for found in source.walk(scope or Scope()) if not isinstance(found, Unreadable)]


def test_every_file_is_told_with_its_study(
    opened: Callable[..., FolderSource], tmp_path: Path
) -> None:
    fill(tmp_path / "tree" / "one", study_of(series=2, images=2))
    fill(tmp_path / "tree" / "two", study_of(images=1, patient_id="Q", day=""))
    (tmp_path / "tree" / "readme.txt").write_text("no DICOM")
    source = opened()
    source.check()
    assert isinstance(source, SupportsWalk)
    found = listed(source)
    assert len(found) == 5
    assert {instance.size for _, instance in found} > {None} - {None}
    studies = list(source.studies(Scope()))
    assert len(studies) == 2
    assert sorted(len(list(source.instances(study))) for study in studies) == [1, 4]
    assert {study.patient_id for study in studies} == {"PID-0001", "Q"}


def test_what_is_fetched_is_the_file(opened: Callable[..., FolderSource], tmp_path: Path) -> None:
    objects = study_of(images=3)
    fill(tmp_path / "tree", objects)
    source = opened()
    assert source.capabilities().keeps_bytes
    found = listed(source)
    taker = Taker()
    report = source.fetch(found[0][0], [instance for _, instance in found], taker, never)
    assert {taken.data for taken in taker.taken} == set(objects)
    assert (report.taken, report.taken_bytes) == (3, sum(map(len, objects)))


def test_odd_names_and_zip_members_are_found_again(
    opened: Callable[..., FolderSource], tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    odd = os.fsencode(tree) + b"/b\xe4d%!\n"
    Path(os.fsdecode(odd)).write_bytes(samples.small())
    with zipfile.ZipFile(tree / "some.zip", "w") as archive:
        archive.writestr("deep/a!b.dcm", samples.small())
        archive.writestr("notes.txt", "no DICOM")
    source = opened()
    found = listed(source)
    assert all(instance.place.isprintable() and instance.place.isascii() for _, instance in found)
    taker = Taker()
    for study, instance in found:
        source.fetch(study, [instance], taker, never)
    assert taker.uids == {instance.uids.sop_instance_uid for _, instance in found}
    assert len(found) == 2
    source.close()


def test_a_dicomdir_is_followed(opened: Callable[..., FolderSource], tmp_path: Path) -> None:
    fill(tmp_path / "media" / "IM", study_of(images=3))
    records = [{"DirectoryRecordType": "IMAGE", "ReferencedFileID": f"IM\\{n}"} for n in range(2)]
    elements = {
        **samples.identity(SOPClassUID="1.2.840.10008.1.3.10"),
        "DirectoryRecordSequence": records,
    }
    (tmp_path / "media" / "DICOMDIR").write_bytes(samples.part10(elements))
    source = opened("media/DICOMDIR")
    found = listed(source)
    assert {instance.place for _, instance in found} == {"IM/0", "IM/1"}
    taker = Taker()
    assert source.fetch(found[0][0], [one for _, one in found], taker, never).taken == 2


def test_what_can_not_be_read_is_told(opened: Callable[..., FolderSource], tmp_path: Path) -> None:
    fill(tmp_path / "tree", [samples.part10({"Modality": "CT", "PatientID": "X"})])
    (tmp_path / "tree" / "nowhere").symlink_to("gone")
    unreadable = [found for found in opened().walk(Scope()) if isinstance(found, Unreadable)]
    assert len(unreadable) == 2
    assert all(found.reason for found in unreadable)


def test_a_scope_narrows(opened: Callable[..., FolderSource], tmp_path: Path) -> None:
    fill(tmp_path / "tree" / "a", study_of(images=1, day="20200101", patient_id="A"))
    fill(tmp_path / "tree" / "b", study_of(images=1, day="20210101", patient_id="B"))
    fill(tmp_path / "tree" / "c", study_of(images=1, day="", patient_id="C"))
    source = opened()

    def patients(scope: Scope) -> set[str]:
        return {study.patient_id for study, _ in listed(source, scope)}

    assert patients(Scope(first_date=date(2020, 6, 1))) == {"B"}
    assert patients(Scope(undated=False)) == {"A", "B"}
    assert patients(Scope(patient_id="C")) == {"C"}
    assert patients(Scope(modalities=("MR",))) == set()


def test_a_file_that_went_or_is_refused_stops_nothing_else(
    opened: Callable[..., FolderSource], tmp_path: Path
) -> None:
    fill(tmp_path / "tree", study_of(images=4))
    source = opened()
    found = [instance for _, instance in listed(source)]
    (tmp_path / "tree" / "0").unlink()
    taker = Taker(lambda one: InvalidInstance("odd") if one == found[2] else None)
    report = source.fetch(listed(source)[0][0], found, taker, never)
    assert report.taken == 2
    assert [failure.reason for failure in report.failures] == [
        "0: No such file or directory",
        "odd",
    ]
    with pytest.raises(Unavailable):
        source.fetch(listed(source)[0][0], found, Taker(lambda _: Unavailable("away")), never)
    assert source.fetch(listed(source)[0][0], found, Taker(), lambda: True).was_stopped


def test_adopting_makes_no_copy(opened: Callable[..., FolderSource], tmp_path: Path) -> None:
    objects = study_of(images=2)
    fill(tmp_path / "tree", objects)
    source = opened(adopt=True)
    assert source.capabilities().adopts
    backend = FilesystemBackend(tmp_path / "store")

    def take(spooled: Spooled, found: FoundInstance | None) -> None:
        assert spooled.path is not None
        backend.adopt(
            f"k{spooled.size}x{len(stored)}", spooled.path, size=spooled.size, digest=spooled.digest
        )
        stored.append(spooled.digest)

    stored: list[object] = []
    found = listed(source)
    source.fetch(found[0][0], [instance for _, instance in found], take, never)
    files = list((tmp_path / "tree").iterdir())
    assert [path.stat().st_nlink for path in files] == [2, 2]
    assert {path.read_bytes() for path in files} == set(objects)
    backend.close()


def test_adopting_across_file_systems_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 1024)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("/dev/shm is on the file system of the temporary files")
        below = Path(other, "below")
        below.mkdir()
        FolderSource(FolderOptions(other, adopt=True), spool).check()
        (below / "one.dcm").write_bytes(samples.small())
        with pytest.raises(SourceError, match=r"another file system.*adopt=false"):
            FolderSource(FolderOptions(other, adopt=True), spool).check()
        FolderSource(FolderOptions(other), spool).check()
    assert list((tmp_path / "spool").rglob("*.dcm")) == []


def test_a_storage_that_can_t_adopt_refuses_such_a_source(tmp_path: Path) -> None:
    objects = SimpleNamespace(adopts=False, default="bucket")
    archive = SimpleNamespace(spool=Spool(tmp_path, 1024), objects=objects)
    open_ = opener_of(cast("Archive", archive))
    options = {"path": str(tmp_path), "adopt": "true"}
    with pytest.raises(ConfigError, match=r"'bucket'.*adopt=false"):
        open_(SourceSettings("folder", options))
    objects.adopts = True
    assert open_(SourceSettings("folder", options)).capabilities().adopts


def test_a_refused_adoption_leaves_the_file(
    opened: Callable[..., FolderSource], tmp_path: Path
) -> None:
    fill(tmp_path / "tree", study_of(images=1))
    source = opened(adopt=True)
    ((study, instance),) = listed(source)
    report = source.fetch(study, [instance], Taker(lambda _: InvalidInstance("odd")), never)
    assert len(report.failures) == 1
    assert (tmp_path / "tree" / "0").stat().st_nlink == 1


def test_a_folder_that_is_not_there_is_told(opened: Callable[..., FolderSource]) -> None:
    with pytest.raises(SourceError, match="check path"):
        opened("nowhere").check()
