"""How much memory the archive takes while clients pull studies of 2 GB, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks import objects, raw_http
from tests.benchmarks.objects import BenchObject
from tests.benchmarks.raw_client import numbered_uid
from tests.benchmarks.raw_http import RawHttp
from tests.benchmarks.report import Row
from tests.e2e.process import ArchiveProcess
from tests.peers.peak_memory import PeakMemory
from tests.samples import EXPLICIT, RLE
from vna.dicom.part10 import file_meta

CLIENTS = 8
GOAL_MIB = 768
"""For all processes together, Postgres and decoders included, whatever is pulled."""
_FIRST = 8 * 10**12
_PATH = "/dicom-web/studies"
_MULTIPART = 'multipart/related; type="application/dicom"'
_FORMS = {
    "as stored": f"{_MULTIPART}; transfer-syntax=*",
    "as zip": "application/zip",
    "as RLE": f"{_MULTIPART}; transfer-syntax={RLE}",
}


@dataclass(frozen=True, slots=True)
class Study:
    """So many instances of one kind in one series."""

    number: int
    size: int
    image: BenchObject

    @property
    def uid(self) -> str:
        """Its Study Instance UID."""
        return numbered_uid(self.number, 2)

    @property
    def title(self) -> str:
        """Its size and what it is made of."""
        return f"{self.size / 1e9:.1f} GB of {self.image.title}"

    def files(self) -> Iterator[bytes]:
        """Its instances, as many as its size has room for."""
        instance, study, series, patient, _ = objects.FIELDS
        dataset = self.image.dataset
        for field, value in (
            (study, self.uid),
            (series, numbered_uid(self.number, 3)),
            (patient, objects.patient_id(80_000_000)),
        ):
            dataset = dataset.replace(field.encode(), value.encode())
        for count in range(max(1, self.size // len(dataset))):
            uid = numbered_uid(self.number + 1 + count)
            meta = file_meta(self.image.sop_class_uid, uid, EXPLICIT)
            yield meta + dataset.replace(instance.encode(), uid.encode())


def studies(size: int) -> tuple[Study, ...]:
    """Of many small images, and of few large ones."""
    return (
        Study(_FIRST, size, objects.ct()),
        Study(_FIRST + 10**6, size, objects.ultrasound()),
    )


def fill(archive: ArchiveProcess, study: Study) -> None:
    """Store a study by STOW-RS, an instance a request."""
    with RawHttp(("127.0.0.1", archive.http_port)) as connection:
        for file in study.files():
            raw_http.expect(connection.ask(raw_http.post(_PATH, "application/dicom", file)), (200,))


def pulls(archive: ArchiveProcess, size: int) -> Iterator[Row]:
    """Each study as it is stored, as a zip archive, and converted; all clients pull the same one at once."""
    for study in studies(size):
        fill(archive, study)
        for form, accept in _FORMS.items():
            yield from _pulled(archive, study, form, accept)


def _pulled(archive: ArchiveProcess, study: Study, form: str, accept: str) -> Iterator[Row]:
    assert archive.process is not None
    request = raw_http.get(f"{_PATH}/{study.uid}", accept)
    received: list[int] = []

    def ask(connection: RawHttp, _client: int, _number: int) -> None:
        received.append(raw_http.expect(connection.ask(request), (200,)).length)

    with PeakMemory(archive.process.pid) as memory:
        rate = raw_http.rate(("127.0.0.1", archive.http_port), CLIENTS, 1, ask)
    title = f"{study.title} {form}, {CLIENTS} clients"
    goal = f"< {GOAL_MIB} MiB"
    yield Row(f"peak PSS, {title}", memory.peak_bytes / 2**20, "MiB", goal=goal)
    yield Row(title, rate * sum(received) / CLIENTS / 1e6, "MB/s")
