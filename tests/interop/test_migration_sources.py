"""Whole archives of others as sources of a migration: dcmqrscp, Orthanc, and one of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e import client
from tests.e2e.process import free_port
from tests.interop import orthanc_rest
from tests.interop.programs import SAMPLES, dataset_of, differences, keep, needs, read, sample
from tests.migration.pacs import study_of
from tests.migration.taking import Taker, never
from tests.peers import dcmqrscp
from tests.peers.orthanc import OrthancSettings, running_orthanc
from tests.peers.peer import LOOPBACK
from tests.scp.site import Site
from vna.config import DestinationConfig
from vna.dicom.header import read_header
from vna.migration.probe import probe
from vna.migration.source_options import DicomOptions, WebOptions
from vna.migration.sources.base import MigrationSource
from vna.migration.sources.dicom import DicomSource
from vna.migration.sources.web import WebSource
from vna.model.migration import Scope
from vna.spool import Spool

pytestmark = pytest.mark.usefixtures("network")
FILES = tuple(map(sample, SAMPLES))
PLAIN = tuple(map(sample, ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm")))
"""What Orthanc sends by C-GET: images in compressed syntaxes it does not."""

LANDING = "LANDING"
Dicom = Callable[..., DicomSource]


@pytest.fixture
def port() -> int:
    """Where C-MOVE sends to."""
    return free_port()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Where objects wait."""
    spool = Spool(tmp_path / "migration-spool", 65_536)
    yield spool
    spool.close()


@pytest.fixture
def dicom(spool: Spool, port: int) -> Iterator[Dicom]:
    """Opens a source at a port, under an AE title."""
    with ExitStack() as stack:

        def open_(at: int, ae_title: str, retrieve: str) -> DicomSource:
            options = DicomOptions(
                LOOPBACK,
                at,
                ae_title,
                "MIGRATOR",
                retrieve,
                f"{LANDING}@{LOOPBACK}:{port}",
            )
            source = DicomSource(options, spool)
            stack.callback(source.close)
            return source

        yield open_


def migrated(source: MigrationSource) -> tuple[Taker, int]:
    """All that a source has, and how many instances it lists."""
    source.check()
    taker, count = Taker(), 0
    for study in source.studies(Scope()):
        found = list(source.instances(study))
        count += len(found)
        source.fetch(study, found, taker, never)
    return taker, count


def datasets(taker: Taker) -> dict[str, bytes]:
    assert all(taken.found for taken in taker.taken)
    return {taken.sop_instance_uid: taken.dataset for taken in taker.taken}


def expected(paths: tuple[Path, ...]) -> dict[str, bytes]:
    return {str(read(path).SOPInstanceUID): dataset_of(path) for path in paths}


def send(port: int, paths: tuple[Path, ...]) -> None:
    """Store files by C-STORE."""
    for path in paths:
        data = path.read_bytes()
        header = read_header(data)
        item = client.Item(
            header.sop_class_uid,
            header.transfer_syntax_uid,
            header.uids.sop_instance_uid,
            data[header.layout.dataset_offset :],
        )
        assert client.store(port, item) == 0


@needs("dcmtk", dcmqrscp.PROGRAM)
@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_dcmqrscp(dicom: Dicom, port: int, tmp_path: Path, retrieve: str) -> None:
    with dcmqrscp.running_dcmqrscp(tmp_path, {LANDING: (LOOPBACK, port)}, "VNA") as peer:
        send(peer.dicom_port, PLAIN)
        taker, count = migrated(dicom(peer.dicom_port, peer.ae_title, retrieve))
    assert count == len(PLAIN)
    assert set(datasets(taker)) == set(expected(PLAIN))
    for path in PLAIN:  # it writes anew what it sends
        (taken,) = (t for t in taker.taken if t.sop_instance_uid == read(path).SOPInstanceUID)
        came = tmp_path / "came.dcm"
        came.write_bytes(taken.data)
        assert differences(path, came) == []


@needs("dcmtk", dcmqrscp.PROGRAM)
def test_a_probe_of_dcmqrscp(dicom: Dicom, port: int, tmp_path: Path) -> None:
    with dcmqrscp.running_dcmqrscp(tmp_path, {LANDING: (LOOPBACK, port)}, "VNA") as peer:
        send(peer.dicom_port, PLAIN)
        report = probe(dicom(peer.dicom_port, peer.ae_title, "move"), Scope())
    assert report.services["C-FIND"]
    assert report.services["C-MOVE"]
    assert (report.studies, report.fetched, report.cap) == (4, 4, 0)
    assert (report.has_stable_uids, report.has_stable_bytes) == (True, True)


@pytest.mark.parametrize("retrieve", ["move", "get"])
@pytest.mark.usefixtures("network")
class TestOrthanc:
    """What Debian's Orthanc gives."""

    pytestmark = orthanc_rest.NEEDED

    def test_dicom(self, dicom: Dicom, port: int, tmp_path: Path, retrieve: str) -> None:
        settings = OrthancSettings(
            postgres=False,
            modalities={LANDING: (LOOPBACK, port)},
            more={"UnknownSopClassAccepted": True},
        )
        files = FILES if retrieve == "move" else PLAIN
        with running_orthanc(tmp_path / "orthanc", settings) as peer:
            orthanc_rest.Orthanc(peer).upload([path.read_bytes() for path in files])
            taker, count = migrated(dicom(peer.dicom_port, peer.ae_title, retrieve))
        assert count == len(files)
        assert set(datasets(taker)) == set(expected(files))


@pytest.mark.usefixtures("network")
class TestOrthancWeb:
    """What its DICOMweb plug-in gives."""

    pytestmark = orthanc_rest.NEEDED

    def test_dicomweb(self, spool: Spool, tmp_path: Path) -> None:
        settings = OrthancSettings(postgres=False, dicomweb=True)
        with running_orthanc(tmp_path / "orthanc", settings) as peer:
            orthanc_rest.Orthanc(peer).upload([path.read_bytes() for path in FILES])
            source = WebSource(WebOptions(f"http://{LOOPBACK}:{peer.http_port}/dicom-web"), spool)
            taker, count = migrated(source)
        assert count == len(FILES)
        assert set(datasets(taker)) == set(expected(FILES))


@pytest.mark.parametrize("retrieve", ["move", "get"])
def test_our_own_archive(dicom: Dicom, port: int, site: Site, retrieve: str) -> None:
    keep(site, FILES)
    site.destinations[LANDING] = DestinationConfig(LOOPBACK, port)
    taker, count = migrated(dicom(site.address[1], "VNA", retrieve))
    assert count == len(FILES)
    assert datasets(taker) == expected(FILES)


def test_a_probe_of_our_own_archive(dicom: Dicom, site: Site, tmp_path: Path) -> None:
    files = []
    for number, data in enumerate(study_of(images=3)):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        files.append(path)
    keep(site, files)
    report = probe(dicom(site.address[1], "VNA", "get"), Scope())
    assert report.services["C-GET"]
    assert report.services["storage commitment"]
    assert report.is_relational
    assert report.has_stable_bytes
    assert all(report.syntaxes.values())
    assert (report.studies, report.instances, report.fetched) == (1, 3, 3)
