"""What the tests ask of a running Orthanc, by its REST interface."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.interop.programs import DEADLINE
from tests.peers import namespace, orthanc
from tests.peers.orthanc import OrthancSettings, running_orthanc
from tests.peers.peer import LOOPBACK, Peer
from tests.scp.site import Site
from vna.config import DestinationConfig

VNA = "VNA"
"""How Orthanc calls us."""
NAME = "ORTHANC"
"""How we call it."""
NEEDED = [
    pytest.mark.usefixtures("network"),
    pytest.mark.skipif(
        not namespace.is_possible(),
        reason="Orthanc listens on every address: that needs a network namespace, and that root",
    ),
    pytest.mark.skipif(
        not orthanc.PROGRAM.exists(), reason="to be installed, as root: apt-get install orthanc"
    ),
]
"""What a test with Orthanc is marked with."""


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc."""

    peer: Peer

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's body; bytes go as they are, all else in JSON. Raises HTTPError."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.peer.http_port}{path}",
            method=method,
            data=None if body is None else data,
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            content: bytes = answer.read()
            return content

    def get(self, path: str) -> Any:
        """A GET of JSON."""
        return orjson.loads(self.request("GET", path))

    def post(self, path: str, body: object) -> Any:
        """A POST that answers JSON."""
        return orjson.loads(self.request("POST", path, body))

    def meet(self, site: Site) -> None:
        """Forget everything, and get to know the archive; it gets to know Orthanc as well."""
        for patient in self.get("/patients"):
            self.request("DELETE", f"/patients/{patient}")
        host, port = site.address
        self.request("PUT", f"/modalities/{VNA}", {"AET": VNA, "Host": host, "Port": port})
        self.reached_by(site, 1)

    def reached_by(self, site: Site, associations: int) -> None:
        """Let the archive send to it over so many associations at once."""
        site.destinations[NAME] = DestinationConfig(LOOPBACK, self.peer.dicom_port, associations)

    def upload(self, files: Sequence[bytes]) -> list[str]:
        """Its own names of Part 10 files that it keeps from now on."""
        return [self.post("/instances", file)["ID"] for file in files]

    def download(self, folder: Path) -> Path:
        """The files that it keeps, in a new folder."""
        folder.mkdir()
        for name in self.get("/instances"):
            (folder / name).write_bytes(self.request("GET", f"/instances/{name}/file"))
        return folder

    def query(self, level: str, keys: Mapping[str, str]) -> tuple[str, list[dict[str, str]]]:
        """C-FIND at us: its name for the query, and the answers."""
        body = {"Level": level, "Query": keys}
        name = self.post(f"/modalities/{VNA}/query", body)["ID"]
        numbers = self.get(f"/queries/{name}/answers")
        path = f"/queries/{name}/answers/{{}}/content?simplify"
        return name, [self.get(path.format(number)) for number in numbers]

    def commitment(self, body: object) -> Any:
        """Ask us for storage commitment; what it knows once our report has come."""
        return self.report(self.post(f"/modalities/{VNA}/storage-commitment", body)["Path"])

    def report(self, path: str) -> Any:
        """What it knows of a commitment that it asked for, once our report has come."""
        deadline = time.monotonic() + DEADLINE
        while (report := self.get(path))["Status"] == "Pending":
            assert time.monotonic() < deadline, report
            time.sleep(0.05)
        return report


@contextmanager
def running(folder: Path, *, dicomweb: bool = False) -> Iterator[Orthanc]:
    """An Orthanc with its data below `folder`, stopped after the block; `dicomweb` loads that plug-in."""
    settings = OrthancSettings(ae_title=NAME, postgres=False, dicomweb=dicomweb)
    with running_orthanc(folder, settings) as peer:
        yield Orthanc(peer)
