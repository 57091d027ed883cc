"""Every real file goes in by the best door that carries it, and comes back bit for bit by three ways."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from tests import samples
from tests.e2e.client import Item, Receiver, associate, get, move, send
from tests.e2e.process import ArchiveProcess, empty_index, running_archive
from tests.e2e.web import fetch, stow
from vna.dicom.header import Header, read_header
from vna.dimse.errors import DimseError
from vna.model.identifiers import is_valid_uid

DESTINATION = "RECEIVER"


@dataclass(frozen=True)
class Sample:
    """A file, and what its header says."""

    path: Path
    data: bytes
    header: Header

    @property
    def item(self) -> Item:
        header = self.header
        return Item(
            header.sop_class_uid,
            header.transfer_syntax_uid,
            header.uids.sop_instance_uid,
            self.data[header.layout.dataset_offset :],
        )

    @property
    def fits_association(self) -> bool:
        """Whether presentation contexts can name its class and syntax, and a command its UID."""
        item = self.item
        return all(map(is_valid_uid, (item.sop_class_uid, item.transfer_syntax_uid)))


@dataclass
class Account:
    """How many files came through which way, and the names of those that did not."""

    ways: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, way: str) -> None:
        self.ways[way] = self.ways.get(way, 0) + 1

    def print(self, title: str) -> None:
        print(f"\n{title}: {self.ways}")
        print("\n".join(f"  {line}" for line in self.notes + self.failures))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver(DESTINATION) as destination:
        yield destination


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[ArchiveProcess]:
    environment = {
        f"VNA__DIMSE__DESTINATIONS__{DESTINATION}__HOST": "127.0.0.1",
        f"VNA__DIMSE__DESTINATIONS__{DESTINATION}__PORT": str(receiver.port),
    }
    with running_archive(tmp_path_factory.mktemp("round") / "data", environment) as process:
        yield process


def samples_of(paths: tuple[Path, ...]) -> list[Sample]:
    found = []
    for path in paths:
        data = path.read_bytes()
        found.append(Sample(path, data, read_header(memoryview(data))))
    return found


def rounds(files: list[Sample]) -> list[list[Sample]]:
    """Files that share a SOP Instance UID stand for different content: each of them gets a round of its own."""
    result: list[list[Sample]] = []
    for sample in files:
        uid = sample.header.uids.sop_instance_uid
        for group in result:
            if all(other.header.uids.sop_instance_uid != uid for other in group):
                group.append(sample)
                break
        else:
            result.append([sample])
    return result


def put_in(archive: ArchiveProcess, sample: Sample) -> str:
    """Store by C-STORE where an association can carry the file, else by STOW; the way it went."""
    item = sample.item
    if sample.fits_association:
        with associate(
            archive.dicom_port, [(item.sop_class_uid, (item.transfer_syntax_uid,))]
        ) as association:
            status = send(association, item)
            assert status == 0, f"C-STORE answered {status:04x}"
        return "C-STORE"
    assert stow(archive, sample.data) in {200, 202}
    return "STOW-RS"


def check_back(
    archive: ArchiveProcess, receiver: Receiver, sample: Sample, way: str, account: Account
) -> None:
    """By WADO-RS always; by C-GET and C-MOVE where an association can carry it."""
    item, uids = sample.item, sample.header.uids
    file = wado(archive, sample)
    assert file == sample.data if way == "STOW-RS" else file.endswith(item.dataset), (
        "WADO-RS differs"
    )
    assert len(file) - len(item.dataset) < 1024, "WADO-RS has bytes in front"
    account.count("WADO-RS")
    if not sample.fits_association:
        account.notes.append(f"{sample.path.name}: no association can carry {item.sop_class_uid!r}")
        return
    keys = {
        "StudyInstanceUID": uids.study_instance_uid,
        "SeriesInstanceUID": uids.series_instance_uid,
        "SOPInstanceUID": uids.sop_instance_uid,
    }
    kinds = {(item.sop_class_uid, item.transfer_syntax_uid)}
    got = get(archive.dicom_port, keys, kinds)
    assert got.get(item.sop_instance_uid) == item.dataset, "C-GET differs"
    account.count("C-GET")
    receiver.received.clear()
    final = move(archive.dicom_port, keys, DESTINATION)
    assert final.status == 0, f"C-MOVE answered {final.status}"
    assert receiver.received.get(item.sop_instance_uid) == item.dataset, "C-MOVE differs"
    account.count("C-MOVE")


def wado(archive: ArchiveProcess, sample: Sample) -> bytes:
    """The file, found by its SOP Instance UID through QIDO and fetched as a single part."""
    uid = urllib.parse.quote(sample.header.uids.sop_instance_uid)
    (record,) = orjson.loads(fetch(f"{archive.root}/instances?SOPInstanceUID={uid}")[1])
    study, series = record["0020000D"]["Value"][0], record["0020000E"]["Value"][0]
    path = (
        f"studies/{urllib.parse.quote(study)}/series/{urllib.parse.quote(series)}/instances/{uid}"
    )
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    status, data = fetch(urllib.request.Request(f"{archive.root}/{path}", headers=accept))
    assert status == 200, f"WADO-RS answered {status}"
    return data


def run(archive: ArchiveProcess, receiver: Receiver, files: list[Sample]) -> Account:
    account = Account()
    for group in rounds(files):
        empty_index(archive.data_dir)
        for sample in group:
            try:
                way = put_in(archive, sample)
                account.count(way)
                check_back(archive, receiver, sample, way, account)
            except (AssertionError, OSError, DimseError, ValueError) as exc:
                account.failures.append(f"{sample.path.name}: {type(exc).__name__} {exc}")
    return account


def test_every_file_of_pydicom_comes_back_bit_for_bit(
    archive: ArchiveProcess, receiver: Receiver
) -> None:
    files = samples_of(samples.pydicom_files())
    account = run(archive, receiver, files)
    account.print(f"{len(files)} files of pydicom")
    assert not account.failures
    assert account.ways["WADO-RS"] == len(files) > 100


def test_every_file_of_the_corpus_comes_back_bit_for_bit(
    archive: ArchiveProcess, receiver: Receiver
) -> None:
    paths = tuple(path for path in samples.corpus_files() if identifiable(path))
    if not paths:
        pytest.skip("no corpus of further files beside this checkout")
    files = samples_of(paths)
    account = run(archive, receiver, files)
    account.print(f"{len(files)} files of the corpus")
    assert not account.failures


def identifiable(path: Path) -> bool:
    """Whether the archive would take the file at all."""
    from vna.errors import InvalidInstance

    try:
        read_header(memoryview(path.read_bytes()))
    except InvalidInstance:
        return False
    return True
