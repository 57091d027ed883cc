"""C-FIND, C-GET, QIDO, /metadata: latencies and rates against a bare round trip of the same door."""

from __future__ import annotations

import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator

from tests import samples
from tests.benchmarks.report import Row
from tests.e2e.client import Item, associate, get, send
from tests.e2e.process import ArchiveProcess
from vna.dimse import scu

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
ECHO = "1.2.840.10008.1.1"
CT = (samples.CT_IMAGE, samples.EXPLICIT)
INSTANCES = 200
STUDY, SERIES, PATIENT = "1.2.826.0.1.3680043.10.511.7", "1.2.826.0.1.3680043.10.511.8", "BENCH-7"


def median_ms(work: Callable[[], object], count: int) -> float:
    """The median of `count` calls in milliseconds."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def fill(archive: ArchiveProcess) -> None:
    """Store the series that is read: 200 CT images of 512 KiB."""
    with associate(archive.dicom_port, [(CT[0], (CT[1],))]) as association:
        for _ in range(INSTANCES):
            uid = samples.new_uid()
            file = samples.ct(
                sop_instance_uid=uid,
                study_instance_uid=STUDY,
                series_instance_uid=SERIES,
                patient_id=PATIENT,
            )
            offset = 144 + int.from_bytes(file[140:144], "little")
            if send(association, Item(*CT, uid, file[offset:])) != 0:
                raise RuntimeError("an instance for the reading benchmarks was not stored")


def finds(archive: ArchiveProcess) -> Iterator[Row]:
    """C-FIND of a study by PatientID and of 200 instances, against C-ECHO on the same association."""
    contexts = [(FIND, (samples.IMPLICIT,)), (ECHO, (samples.IMPLICIT,))]
    study = {"QueryRetrieveLevel": "STUDY", "PatientID": PATIENT, "StudyInstanceUID": ""}
    images = {
        "QueryRetrieveLevel": "IMAGE",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "SOPInstanceUID": "",
        "InstanceNumber": "",
    }
    with associate(archive.dicom_port, contexts) as association:

        def find(identifier: dict[str, str], expected: int) -> None:
            data = samples.dataset(identifier, samples.IMPLICIT)
            found = sum(1 for _ in scu.find(association, FIND, data))
            if found < expected:
                raise RuntimeError(f"C-FIND gave {found} matches, not {expected}")

        echo = median_ms(lambda: scu.echo(association), 50)
        by_patient = median_ms(lambda: find(study, 1), 50)
        of_series = median_ms(lambda: find(images, INSTANCES), 10)
    yield Row("C-FIND study by PatientID, median", by_patient, "ms", "C-ECHO", echo)
    yield Row("C-FIND 200 instances, median", of_series, "ms", "C-ECHO", echo)


def gets(archive: ArchiveProcess) -> Iterator[Row]:
    """C-GET of the series."""
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
    started = time.perf_counter()
    received = get(archive.dicom_port, uids, {CT})
    rate = len(received) / (time.perf_counter() - started)
    if len(received) != INSTANCES:
        raise RuntimeError(f"C-GET gave {len(received)} instances")
    wado = f"{archive.root}/studies/{STUDY}"
    started = time.perf_counter()
    size = len(fetch(wado, 'multipart/related; type="application/dicom"; transfer-syntax=*'))
    seconds = time.perf_counter() - started
    yield Row("C-GET 200 CT 512 KiB", rate, "/s", "WADO-RS of the study", INSTANCES / seconds)
    yield Row("WADO-RS study of 200 CT", size / seconds / 1e6, "MB/s")


def fetch(url: str, accept: str = "application/dicom+json") -> bytes:
    """The body of an answer."""
    request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        body: bytes = answer.read()
    return body


def webs(archive: ArchiveProcess) -> Iterator[Row]:
    """QIDO and /metadata, against /healthz on the same gateway; one connection per request."""
    floor = median_ms(lambda: fetch(f"http://127.0.0.1:{archive.http_port}/healthz", "*/*"), 30)
    qido = f"{archive.root}/studies?PatientID={PATIENT}"
    rows = (
        ("QIDO study by PatientID, median", qido, 50, ""),
        (
            "QIDO 200 instances of a series, median",
            f"{archive.root}/studies/{STUDY}/series/{SERIES}/instances",
            10,
            "",
        ),
    )
    series = f"{archive.root}/studies/{STUDY}/series/{SERIES}/metadata"
    workers_seen = 4
    started = time.perf_counter()
    fetch(series)
    cold = (time.perf_counter() - started) * 1000
    yield Row("/metadata of 200 CT, cold", cold, "ms", "/healthz", floor, "< 300 ms")
    for _ in range(workers_seen * 2):
        fetch(series)
    warm = median_ms(lambda: fetch(series), 20)
    yield Row("/metadata of 200 CT, warm, median", warm, "ms", "/healthz", floor, "< 20 ms")
    for name, url, count, goal in rows:
        fetch(url)
        yield Row(name, median_ms(lambda url=url: fetch(url), count), "ms", "/healthz", floor, goal)  # type: ignore[misc]
