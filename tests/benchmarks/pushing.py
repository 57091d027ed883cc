"""How much memory the archive takes while one request stores 10 000 instances, or 20 GB."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.benchmarks import objects, raw_http
from tests.benchmarks.pulling import GOAL_MIB, Study
from tests.benchmarks.raw_http import RawHttp
from tests.benchmarks.report import Row
from tests.e2e.process import ArchiveProcess
from tests.peers.peak_memory import PeakMemory

_FIRST = 9 * 10**12
_INSTANCES = 10_000
_BYTES = 20 * 10**9
_HEAD = b"\r\n--push\r\nContent-Type: application/dicom\r\n\r\n"
_END = b"\r\n--push--\r\n"
_REQUEST = (
    "POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    'Content-Type: multipart/related; type="application/dicom"; boundary=push\r\n\r\n'
)


def studies(share: float) -> tuple[Study, ...]:
    """Of many small images and of few large ones; `share`: of the whole measurement."""
    ct, ultrasound = objects.ct(), objects.ultrasound()
    return (
        Study(_FIRST, round(_INSTANCES * share) * len(ct.dataset), ct),
        Study(_FIRST + 10**6, round(_BYTES * share), ultrasound),
    )


def pushes(archive: ArchiveProcess, share: float) -> Iterator[Row]:
    """Each study in one request, made while it is sent."""
    warm = Study(_FIRST + 2 * 10**6, 20 * 2**19, objects.ct())
    _push(archive, warm)
    for study in studies(share):
        yield from _pushed(archive, study)


def _pushed(archive: ArchiveProcess, study: Study) -> Iterator[Row]:
    assert archive.process is not None
    with PeakMemory(archive.process.pid) as memory:
        started = time.perf_counter()
        count = _push(archive, study)
        seconds = time.perf_counter() - started
    title = f"{study.title}, {count} in one request"
    yield Row(f"peak PSS, {title}", memory.peak_bytes / 2**20, "MiB", goal=f"< {GOAL_MIB} MiB")
    yield Row(f"stored, {title}", count / seconds, "/s")


def _push(archive: ArchiveProcess, study: Study) -> int:
    """How many instances went out. Raises RuntimeError unless all were stored."""
    count = 0
    with RawHttp(("127.0.0.1", archive.http_port)) as connection:
        connection.send(_REQUEST.encode())
        for file in study.files():
            connection.send(_chunk(_HEAD + file))
            count += 1
        answer = connection.ask(_chunk(_END) + _chunk(b""))
    raw_http.expect(answer, (200,), 100 * count)
    return count


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
