"""Archives of others and of ours on the loopback interface, filled, asked by nobody yet, then harmed."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import web
from tests.e2e.process import free_port, running_archive
from tests.interop.orthanc_rest import Orthanc
from tests.peers import dcmqrscp
from tests.peers.orthanc import OrthancSettings, running_orthanc
from tests.peers.peer import LOOPBACK
from tests.rehearsal.objects import Placed

DESTINATIONS = 4
"""So many processes can take from a silo over C-MOVE at once."""
CALLING = "MIGRATOR"
INDEXER = Path("/usr/bin/dcmqridx")
"""What makes the index of dcmqrscp."""
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Silo:
    """A source that runs: how a campaign is told of it, and what it was given; `domain` is that of its patients.

    `harm` brings its faults about, once it has told what it has. `keeps_bytes`: what it sends is what it was given.
    """

    name: str
    domain: str
    kind: str
    options: Mapping[str, str]
    placed: Sequence[Placed]
    harm: Callable[[], None]
    keeps_bytes: bool = False

    @property
    def listed(self) -> int:
        """How many instances it has to tell of."""
        return sum(bool(one.uids.sop_instance_uid) for one in self.placed)


@contextmanager
def orthanc(folder: Path, placed: Sequence[Placed]) -> Iterator[Silo]:
    """Debian's Orthanc, over C-MOVE; only within a private network."""
    destinations = _destinations()
    more = {"MaximumStorageCacheSize": 0}
    settings = OrthancSettings(postgres=False, modalities=_by_title(destinations), more=more)
    with running_orthanc(folder, settings) as peer:
        Orthanc(peer).upload([one.data for one in placed])
        options = _dicom(peer.dicom_port, peer.ae_title, destinations)
        yield Silo("orthanc", "ORT", "dicom", options, placed, _harm(folder / "storage", placed))


@contextmanager
def dcmqrscp_by_get(folder: Path, placed: Sequence[Placed]) -> Iterator[Silo]:
    """DCMTK's dcmqrscp, over C-GET."""
    with _dcmqrscp(folder, placed, {}) as port:
        options = _dicom(port, "QRSCP", {}) | {"retrieve": "get"}
        harm = _harm(folder / "storage", placed)
        yield Silo("dcmqrscp-get", "GET", "dicom", options, placed, harm)


@contextmanager
def dcmqrscp_by_move(folder: Path, placed: Sequence[Placed]) -> Iterator[Silo]:
    """DCMTK's dcmqrscp, over C-MOVE."""
    destinations = _destinations()
    with _dcmqrscp(folder, placed, destinations) as port:
        options = _dicom(port, "QRSCP", destinations)
        harm = _harm(folder / "storage", placed)
        yield Silo("dcmqrscp-move", "MOV", "dicom", options, placed, harm)


@contextmanager
def archive(folder: Path, placed: Sequence[Placed]) -> Iterator[Silo]:
    """An archive of ours, over DICOMweb."""
    folder.mkdir(mode=0o755)
    with running_archive(folder / "data", {"VNA__LOG__LEVEL": "warning"}) as running:
        for start in range(0, len(placed), _AT_ONCE):
            files = [one.data for one in placed[start : start + _AT_ONCE]]
            status = web.stow(running, *files)
            if status not in {200, 202}:
                raise RuntimeError(f"the archive answered {status}")
        options = {"url": running.root}
        harm = _harm(folder / "data", placed)
        yield Silo("archive", "WEB", "dicomweb", options, placed, harm, keeps_bytes=True)


@contextmanager
def folder(folder: Path, placed: Sequence[Placed]) -> Iterator[Silo]:
    """Files in folders and in a zip archive, among others that are no DICOM."""
    folder.mkdir()
    (folder / "README.txt").write_text("not one of them\n" * 100)
    for number, one in enumerate(placed):
        below = folder / f"{number // 50:03}"
        below.mkdir(exist_ok=True)
        data = one.data if one.becomes is None else one.becomes
        if number % 10:
            (below / f"Bild {number}ä.dcm").write_bytes(data)
        else:
            with zipfile.ZipFile(below / "some.zip", "a") as packed:
                packed.writestr(f"DICOM/{number}", data)
    options = {"path": str(folder)}
    yield Silo("folder", "DIR", "folder", options, placed, lambda: None, keeps_bytes=True)


@contextmanager
def _dcmqrscp(
    folder: Path, placed: Sequence[Placed], destinations: Mapping[str, int]
) -> Iterator[int]:
    storage = folder / "storage"
    storage.mkdir(parents=True)
    files = []
    for number, one in enumerate(placed):
        files.append(storage / f"{number:05}.dcm")
        files[-1].write_bytes(one.data)
    subprocess.run([INDEXER, storage, *files], check=True, capture_output=True)
    known = _by_title(destinations)
    with dcmqrscp.running_dcmqrscp(folder, known, tuned=True) as peer:
        yield peer.dicom_port


def _destinations() -> dict[str, int]:
    """AE titles of this machine, and the port of each."""
    return {f"LANDING{number}": free_port() for number in range(1, DESTINATIONS + 1)}


def _by_title(destinations: Mapping[str, int]) -> dict[str, tuple[str, int]]:
    return {title: (LOOPBACK, port) for title, port in destinations.items()}


def _dicom(port: int, title: str, destinations: Mapping[str, int]) -> dict[str, str]:
    places = ",".join(f"{name}@{LOOPBACK}:{at}" for name, at in destinations.items())
    return {
        "host": LOOPBACK,
        "port": str(port),
        "called_ae_title": title,
        "calling_ae_title": CALLING,
        "settle_time": "1",
    } | ({"move_destinations": places} if places else {})


def _harm(storage: Path, placed: Sequence[Placed]) -> Callable[[], None]:
    """What removes and overwrites the files of objects that are to be lost, or to go bad."""
    harmed = {one.data: one.becomes for one in placed if one.becomes is not None}

    def harm() -> None:
        left = dict(harmed)
        for path in [path for path in storage.rglob("*") if path.is_file()]:
            becomes = left.pop(path.read_bytes(), None)
            if becomes is None:
                continue
            mode = path.stat().st_mode
            path.unlink()
            if becomes:
                path.write_bytes(becomes)
                os.chmod(path, mode)  # noqa: PTH101 - as it was
        if left:
            raise RuntimeError(f"{storage}: {len(left)} objects were not found as they were given")

    return harm
