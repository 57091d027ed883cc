"""What is asked of each archive's DICOMweb door in the comparison, one measurement at a time."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests import samples
from tests.benchmarks import objects, raw_http
from tests.benchmarks.comparison import Work
from tests.benchmarks.peer_tasks import SERIES, SERIES_INSTANCES, Measure, Size, Task
from tests.benchmarks.raw_client import Message, numbered_uid, occurrences
from tests.benchmarks.raw_http import Answer, RawHttp
from tests.peers.peer import LOOPBACK, Peer
from vna.dicom.part10 import file_meta

ROOT = "/dicom-web"
JSON = "application/dicom+json"
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
CLIENTS = 8
LONG_SERIES, FRAME_SERIES, ULTRASOUND = SERIES + 10**6, SERIES + 2 * 10**6, SERIES + 3 * 10**6
LONG_INSTANCES, MANY_FRAMES = 2000, 500
BATCH = 50
_MB = 10**6
_BOUNDARY = "bench-part"
_bodies = itertools.count(1)


def address(peer: Peer) -> tuple[str, int]:
    """Where the peer's HTTP door is. Raises RuntimeError when it has none."""
    if peer.http_port is None:
        raise RuntimeError("no DICOMweb door")
    return LOOPBACK, peer.http_port


def series_path(number: int = SERIES) -> str:
    """The path of the series whose study and series have this number."""
    return f"{ROOT}/studies/{numbered_uid(number, 2)}/series/{numbered_uid(number, 3)}"


def instance_path(number: int, series: int = SERIES) -> str:
    """The path of instance `number` of a series."""
    return f"{series_path(series)}/instances/{numbered_uid(series + number)}"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the encoded request of a number, and the least bytes of its answer."""

    of: Callable[[int, Size, Peer], bytes]
    least: int = 2

    def ask(self, connection: RawHttp, number: int, size: Size, peer: Peer) -> Answer:
        """Ask for `number`. Raises RuntimeError for anything but a whole answer."""
        answer = connection.ask(self.of(number, size, peer))
        return raw_http.expect(answer, (200, 204, 206), self.least)


def latency(request: Request, share: float = 1.0, warm: int = 1) -> Measure:
    """Median milliseconds of one client; `share` of the repeats."""

    def measure(peer: Peer, size: Size) -> tuple[float, ...]:
        times = []
        with RawHttp(address(peer)) as connection:
            for number in range(warm):
                request.ask(connection, number, size, peer)
            for number in range(max(3, round(size.repeats * share))):
                started = time.perf_counter()
                request.ask(connection, number, size, peer)
                times.append((time.perf_counter() - started) * 1000)
        return (statistics.median(times),)

    return measure


def throughput(request: Request, share: float = 1.0) -> Measure:
    """Requests a second of eight clients; each makes `share` of the repeats."""

    def measure(peer: Peer, size: Size) -> tuple[float, ...]:
        each = max(2, round(size.repeats * share))

        def ask(connection: RawHttp, client: int, number: int) -> None:
            request.ask(connection, client * each + number, size, peer)

        return (raw_http.rate(address(peer), CLIENTS, each, ask),)

    return measure


def volume(peer: Peer, size: Size) -> tuple[float, ...]:
    """MB a second of the study of 200 CT, retrieved whole."""
    path = f"{ROOT}/studies/{numbered_uid(SERIES, 2)}"
    request = raw_http.get(path, 'multipart/related; type="application/dicom"')
    with RawHttp(address(peer)) as connection:
        started = time.perf_counter()
        answer = raw_http.expect(connection.ask(request), (200,), SERIES_INSTANCES * 2**19)
        seconds = time.perf_counter() - started
    return (answer.length / _MB / seconds,)


# --- what is asked ---


def studies_of_patient(number: int, size: Size, peer: Peer) -> bytes:
    """QIDO: the studies of one patient."""
    patients = size.studies_of(peer) // 2
    patient = objects.patient_id(number * 7919 % patients)
    return raw_http.get(f"{ROOT}/studies?PatientID={patient}", JSON)


def first_studies(_number: int, _size: Size, _peer: Peer) -> bytes:
    """QIDO: the first 100 studies."""
    return raw_http.get(f"{ROOT}/studies?limit=100", JSON)


def instances_of_series(_number: int, _size: Size, _peer: Peer) -> bytes:
    """QIDO: all instances of the series of 200."""
    return raw_http.get(f"{series_path()}/instances", JSON)


def metadata(series: int) -> Callable[[int, Size, Peer], bytes]:
    """The metadata of a series, compressed for who can."""

    def request(_number: int, _size: Size, _peer: Peer) -> bytes:
        return raw_http.get(f"{series_path(series)}/metadata", JSON, compressed=True)

    return request


def ct_frame(number: int, _size: Size, _peer: Peer) -> bytes:
    """The only frame of one of the CT images."""
    return raw_http.get(f"{instance_path(number % SERIES_INSTANCES)}/frames/1", FRAMES)


def ultrasound_frame(number: int, _size: Size, _peer: Peer) -> bytes:
    """One of the 60 frames of an ultrasound clip."""
    return raw_http.get(f"{instance_path(0, ULTRASOUND)}/frames/{number * 7 % 60 + 1}", FRAMES)


def frame_of_many(frame: int) -> Callable[[int, Size, Peer], bytes]:
    """A certain frame of an object of 500."""

    def request(_number: int, _size: Size, _peer: Peer) -> bytes:
        return raw_http.get(f"{instance_path(0, FRAME_SERIES)}/frames/{frame}", FRAMES)

    return request


def rendered(number: int, _size: Size, _peer: Peer) -> bytes:
    """A CT image as JPEG, another one each time."""
    return raw_http.get(f"{instance_path(number % SERIES_INSTANCES)}/rendered", "image/jpeg")


# --- storing ---


def stow(clients: int, batch: int) -> Measure:
    """CT images a second by STOW-RS, `batch` of them a request."""

    def measure(peer: Peer, size: Size) -> tuple[float, ...]:
        each = max(1, size.ct // 2 // clients // batch)
        bodies = [StowBody(batch) for _ in range(clients)]

        def ask(connection: RawHttp, client: int, _number: int) -> None:
            raw_http.expect(connection.ask(bodies[client].next()), (200,))

        return (raw_http.rate(address(peer), clients, each, ask) * batch,)

    return measure


class StowBody:
    """A whole request that stores `batch` CT images, written anew for each send."""

    def __init__(self, batch: int) -> None:
        item = objects.ct()
        self._batch = batch
        body = b"".join(_part(item.dataset, item.sop_class_uid, number) for number in range(batch))
        body += f"--{_BOUNDARY}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        request = raw_http.post(f"{ROOT}/studies", kind, body)
        fields = [numbered_uid(number) for number in range(batch)] + list(objects.FIELDS[1:4])
        places = [occurrences(request, field.encode()) for field in fields]
        self._message = Message(bytearray(request), places)
        self._load, self._sent = next(_bodies), 0

    def next(self) -> bytes:
        """The request with UIDs that nobody has seen yet."""
        first = 2 * 10**12 + self._load * 10**7 + self._sent * self._batch
        self._sent += 1
        study = 2 * 10**12 + self._load * 10**7
        self._message.write(
            [
                *(numbered_uid(first + number) for number in range(self._batch)),
                numbered_uid(study, 2),
                numbered_uid(study, 3),
                objects.patient_id(70_000_000 + self._load),
            ]
        )
        return bytes(self._message.data)


def _part(dataset: bytes, sop_class_uid: str, number: int) -> bytes:
    uid = numbered_uid(number)
    file = file_meta(sop_class_uid, uid, samples.EXPLICIT)
    file += dataset.replace(objects.FIELDS[0].encode(), uid.encode())
    return f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file + b"\r\n"


def web_task(work: Work, measure: Measure, needs: str = "") -> Task:
    """A row that only archives with a DICOMweb door take part in."""
    return Task(work.key, (work,), measure, needs, is_web=True)


def works(key: str, title: str, goals: Sequence[float]) -> tuple[Work, Work]:
    """The rows of one request: its median latency by one client, its rate with eight."""
    return (
        Work(f"{key}-p50", f"{title}, p50", "ms", goals[0], less_is_better=True),
        Work(f"{key}-8", f"{title}, {CLIENTS} clients", "/s", goals[1]),
    )
