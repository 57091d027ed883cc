"""The walk over files, folders, links, zip archives and DICOMDIRs."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests import samples
from vna.migration import zips
from vna.migration.candidates import Fate, Finding, ZipMember, printable
from vna.migration.dicomdir import read_references
from vna.migration.files import walk

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"


def _walk(*paths: Path) -> tuple[list[str], list[Finding]]:
    """(names of candidates, findings)."""
    found = list(walk(paths))
    return (
        [item.name for item in found if not isinstance(item, Finding)],
        [item for item in found if isinstance(item, Finding)],
    )


def _touch(top: Path, *names: str) -> None:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def _dicomdir(folder: Path, references: Iterable[str], name: str = "DICOMDIR") -> Path:
    items = [{"DirectoryRecordType": "IMAGE", "ReferencedFileID": r} for r in references]
    elements = {**samples.identity(SOPClassUID=DIRECTORY_CLASS), "DirectoryRecordSequence": items}
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(samples.part10(elements))
    return path


# folders and files


def test_folders_are_walked_in_order_and_files_named_are_taken(tmp_path: Path) -> None:
    _touch(tmp_path, "b/2", "b/1", "a/x/y/z", "top", "c/.hidden", "ä/ü")
    single = tmp_path / "top"
    names, findings = _walk(tmp_path, single)
    expected = ["top", "a/x/y/z", "b/1", "b/2", "c/.hidden", "ä/ü", "top"]
    assert names == [str(tmp_path / name) for name in expected]
    assert findings == []


def test_the_walk_is_lazy(tmp_path: Path) -> None:
    _touch(tmp_path, "a", "b/c")
    found = walk([tmp_path, tmp_path / "never looked at"])
    next(found)
    shutil.rmtree(tmp_path / "b")
    (finding, second) = list(found)
    assert isinstance(finding, Finding)
    assert isinstance(second, Finding)
    assert {finding.fate, second.fate} == {Fate.FAILED}


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    _touch(tmp_path, "data/one", "elsewhere/two")
    (tmp_path / "data" / "up").symlink_to(tmp_path)
    (tmp_path / "data" / "self").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "else").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "file").symlink_to(tmp_path / "elsewhere" / "two")
    names, findings = _walk(tmp_path / "data")
    assert names.count(str(tmp_path / "data" / "one")) == 1
    assert sorted(Path(name).name for name in names) == ["file", "one", "two"]
    assert findings == []


def test_links_that_lead_nowhere_are_findings(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    names, findings = _walk(tmp_path)
    assert names == []
    assert [(Path(f.name).name, f.fate) for f in findings] == [
        ("circle", Fate.FAILED),
        ("nowhere", Fate.FAILED),
    ]


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.zip")
    names, findings = _walk(tmp_path, tmp_path / "pipe")
    assert names == []
    assert [f.fate for f in findings] == [Fate.SKIPPED] * 3


def test_a_missing_path_is_a_finding(tmp_path: Path) -> None:
    (finding,) = _walk(tmp_path / "missing")[1]
    assert finding.fate is Fate.FAILED
    assert "missing" in finding.name


def test_a_folder_that_cannot_be_listed_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _touch(tmp_path, "open/1", "shut/2")
    real = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    names, (finding,) = _walk(tmp_path)
    assert names == [str(tmp_path / "open" / "1")]
    assert (finding.fate, finding.reason) == (Fate.FAILED, "cannot be read: Permission denied")


def test_odd_names_become_printable(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9\x1b[31m\n")
    path.write_bytes(b"x")
    names, _ = _walk(tmp_path)
    assert names == [f"{tmp_path}/caf\\xe9\\x1b[31m\\n"]
    assert printable("ä/ü") == "ä/ü"


# zip archives


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_zip_members_are_candidates_whatever_their_folders(tmp_path: Path) -> None:
    path = _zip(
        tmp_path / "a.zip", {"x": b"1", "deep/er/y": b"22", "../../evil": b"333", "/abs": b""}
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.mkdir("folder")
    for top in (path, tmp_path):
        found = [item for item in walk([top]) if isinstance(item, ZipMember)]
        assert [item.name for item in found] == [
            f"{path}!{name}" for name in ("x", "deep/er/y", "../../evil", "/abs")
        ]
        for item, size in zip(found, (1, 2, 3, 0), strict=True):
            assert item.size() == size
            with item.open() as stream:
                assert len(stream.read()) == size
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_a_zip_without_the_suffix_is_opened_when_named(tmp_path: Path) -> None:
    path = _zip(tmp_path / "archive", {"x": b"1"})
    assert _walk(path)[0] == [f"{path}!x"]
    assert _walk(tmp_path)[0] == [str(path)]


def test_a_broken_zip_is_a_finding(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"x": b"1" * 1000})
    path.write_bytes(path.read_bytes()[:-10])
    (finding,) = _walk(path)[1]
    assert finding.fate is Fate.FAILED
    assert "zip" in finding.reason


def test_a_file_that_is_only_called_zip_is_a_candidate(tmp_path: Path) -> None:
    (tmp_path / "fake.zip").write_bytes(b"no archive")
    assert _walk(tmp_path)[0] == [str(tmp_path / "fake.zip")]


def test_a_bomb_is_refused_from_where_it_exceeds_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _zip(tmp_path / "bomb.zip", {str(number): bytes(100_000) for number in range(5)})
    monkeypatch.setattr(zips, "FREE_BYTES", 250_000)
    monkeypatch.setattr(zips, "MAX_RATIO", 1)
    names, findings = _walk(path)
    assert names == [f"{path}!0", f"{path}!1"]
    assert {f.fate for f in findings} == {Fate.REFUSED}
    assert len(findings) == 3


def test_an_honest_zip_of_blank_images_is_no_bomb(tmp_path: Path) -> None:
    path = _zip(tmp_path / "blank.zip", {"blank": bytes(20_000_000)})
    assert path.stat().st_size * zips.MAX_RATIO < 20_000_000
    assert len(_walk(path)[0]) == 1


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"x": b"1"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", data, data.index(signature) + offset, 1)
    path.write_bytes(data)
    (finding,) = _walk(path)[1]
    assert (finding.fate, finding.name) == (Fate.REFUSED, f"{path}!x")


# DICOMDIR


def test_a_dicomdir_named_brings_in_what_it_lists(tmp_path: Path) -> None:
    _touch(tmp_path, "IM/A/1", "IM/A/2", "IM/A/unlisted")
    path = _dicomdir(tmp_path, ["IM\\A\\1", "IM\\A\\2", "IM\\A\\1", "IM\\A\\3"])
    names, findings = _walk(path)
    assert names == [str(tmp_path / "IM/A/1"), str(tmp_path / "IM/A/2")]
    assert [f.fate for f in findings] == [Fate.SKIPPED, Fate.FAILED]
    assert findings[1].name.endswith("IM/A/3")


def test_a_folder_with_a_dicomdir_is_walked_like_any_other(tmp_path: Path) -> None:
    _touch(tmp_path, "IM/1", "IM/unlisted")
    _dicomdir(tmp_path, ["IM\\1"])
    assert len(_walk(tmp_path)[0]) == 3


def test_names_on_old_media_are_found(tmp_path: Path) -> None:
    _touch(tmp_path, "im/a/img1.;1", "im/a/IMG2;1", "im/a/img3")
    path = _dicomdir(tmp_path, ["IM\\A\\IMG1", "IM\\A\\IMG2", "IM\\A\\IMG3"])
    names, findings = _walk(path)
    assert [Path(name).name for name in names] == ["img1.;1", "IMG2;1", "img3"]
    assert len(findings) == 1


@pytest.mark.parametrize(
    "reference",
    ["..\\secret", "..\\..\\etc\\passwd", "\\secret", "A\\..\\..\\secret", "../secret", "A/../../secret", "."],
)  # fmt: skip
def test_a_reference_out_of_the_folder_is_refused(tmp_path: Path, reference: str) -> None:
    _touch(tmp_path, "secret", "medium/A/1")
    names, findings = _walk(_dicomdir(tmp_path / "medium", [reference]))
    assert names == []
    assert [f.fate for f in findings] == [Fate.SKIPPED, Fate.REFUSED]


def test_a_reference_through_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "secret/1", "medium/A/1")
    (tmp_path / "medium" / "OUT").symlink_to(tmp_path / "secret")
    names, findings = _walk(_dicomdir(tmp_path / "medium", ["OUT\\1", "A\\1"]))
    assert names == [str(tmp_path / "medium" / "A" / "1")]
    assert [f.fate for f in findings] == [Fate.SKIPPED, Fate.REFUSED]


def test_a_damaged_dicomdir_does_no_harm(tmp_path: Path) -> None:
    _touch(tmp_path, "IM/1")
    data = _dicomdir(tmp_path, ["IM\\1"]).read_bytes()
    for length in range(132, len(data), 7):
        path = tmp_path / "cut"
        path.write_bytes(data[:length])
        for item in walk([path]):
            assert isinstance(item, Finding) or Path(item.name).name in {"1", "cut"}


def test_the_dicomdirs_that_come_with_pydicom_are_read() -> None:
    import pydicom.data

    folder = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
    for name, count in (("DICOMDIR", 31), ("DICOMDIR-bigEnd", 31), ("DICOMDIR-implicit", 31)):
        references = read_references(folder / name)
        assert len(references) == count, name
        names, findings = _walk(folder / name)
        assert len(names) + len(findings) - 1 == count
        assert not [f for f in findings if f.fate is Fate.REFUSED]
