"""How the archive grows: storing with more associations and processes, searching in a larger index."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests import samples
from tests.benchmarks import bulk, objects, peer_tasks, raw_pdus
from tests.benchmarks.raw_requests import RawAssociation
from tests.benchmarks.report import Point, Row
from tests.e2e.process import ArchiveProcess, running_archive
from tests.peers.archive import running_archive_peer
from tests.peers.peer import LOOPBACK
from vna.index.embedded import EmbeddedPostgres

ASSOCIATIONS = (1, 2, 4, 8, 12, 16)
WORKERS = (1, 2, 4)
STUDIES = (10_000, 100_000, 1_000_000)
STORING, SEARCHING = "associations", "studies"


def storing(folder: Path, short: bool) -> Iterator[Row]:
    """C-STORE of 512 KiB CT: rate by associations, a line for each number of worker processes."""
    item = objects.ct()
    for workers in WORKERS[:2] if short else WORKERS:
        variables = {"VNA__DIMSE__WORKERS": str(workers)}
        line = f"{workers} worker process{'es' if workers > 1 else ''}"
        with running_archive_peer(folder / str(workers), environment=variables) as peer:
            peer_tasks.store(item, 64, 4, peer)
            for associations in ASSOCIATIONS[::2] if short else ASSOCIATIONS:
                count = max(8 * associations, 96 if short else 400)
                loads = [peer_tasks.store(item, count, associations, peer) for _ in range(3)]
                name = f"C-STORE CT 512 KiB, {line}, {associations} association(s)"
                point = Point(STORING, line, associations)
                yield Row(
                    name, statistics.median(load.figures[0] for load in loads), "/s", point=point
                )


def _find_accession_number(number: int, studies: int) -> bytes:
    wanted = f"A{number * 41 % studies}"
    return peer_tasks.identifier("STUDY", peer_tasks.STUDY_KEYS, AccessionNumber=wanted)


def _find_name(number: int, studies: int) -> bytes:
    """By the name and, since names come again, by the patient too."""
    patient = number * 37 % (studies // 2)
    given = {
        "PatientName": f"{bulk.name_of(patient)[:-1]}*",
        "PatientID": objects.patient_id(patient),
    }
    return peer_tasks.identifier("STUDY", peer_tasks.STUDY_KEYS, **given)


def _find_day(number: int, _studies: int) -> bytes:
    day = objects.day_after(bulk.FIRST_DAY, number * 13 % bulk.DAYS)
    return peer_tasks.identifier("STUDY", peer_tasks.STUDY_KEYS, StudyDate=day)


SEARCHES: dict[str, Callable[[int, int], bytes]] = {
    "study by PatientID": peer_tasks.find_by_patient,
    "study by AccessionNumber": _find_accession_number,
    "study by beginning of PatientName and PatientID": _find_name,
    "series of a study": peer_tasks.find_series,
    "studies of a day (as many matches as there are)": _find_day,
}


def searching(folder: Path, short: bool) -> Iterator[Row]:
    """C-FIND: median latency by studies in the index, which is filled by SQL, past the doors."""
    with (
        running_archive(folder / "data", {"VNA__LOG__LEVEL": "warning"}) as archive,
        EmbeddedPostgres.start(archive.data_dir) as server,
    ):
        sizes = STUDIES[:2] if short else STUDIES
        for first, end in itertools.pairwise((0, *sizes)):
            bulk.fill(server.url, first, end)
            yield from _searches(archive, end, 20 if short else 100)


def _searches(archive: ArchiveProcess, studies: int, repeats: int) -> Iterator[Row]:
    request = raw_pdus.associate_request([(peer_tasks.FIND, samples.IMPLICIT)], "VNA")
    with RawAssociation((LOOPBACK, archive.dicom_port), request) as association:
        for title, query in SEARCHES.items():
            queries = [query(number, studies) for number in range(1, repeats + 1)]
            _latency(association, queries[0])
            value = statistics.median(_latency(association, wanted) for wanted in queries)
            point = Point(SEARCHING, title, studies)
            yield Row(f"C-FIND {title}, {studies} studies, median", value, "ms", point=point)


def _latency(association: RawAssociation, wanted: bytes) -> float:
    started = time.perf_counter()
    if not association.find(peer_tasks.FIND, wanted):
        raise RuntimeError("a search that must match found nothing")
    return (time.perf_counter() - started) * 1000
