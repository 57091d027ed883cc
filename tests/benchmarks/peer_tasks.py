"""What is asked of each archive in the comparison, one measurement at a time."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests import samples
from tests.benchmarks import objects, raw_pdus, raw_sink
from tests.benchmarks.comparison import Work
from tests.benchmarks.objects import BenchObject
from tests.benchmarks.raw_client import (
    Load,
    LoadResult,
    numbered_uid,
    open_association,
    release,
    run_load,
)
from tests.benchmarks.raw_requests import RawAssociation
from tests.peers import usage
from tests.peers.peer import Peer

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
SERIES_INSTANCES = 200
SERIES = 7_000_000_000
"""The number of the study and series that are retrieved, and of its first instance."""
_loads = itertools.count(1)
_LOAD, _ASSOCIATION = 10_000_000, 100_000
"""How far apart the numbers of loads, and of the associations in a load, begin."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: rounds, instances of a store load at each size, studies in the index, repeats of a search."""

    rounds: int
    ct: int
    small: int
    large: tuple[int, int, int]
    studies: int
    repeats: int

    def studies_of(self, peer: Peer) -> int:
        """The studies that this peer is filled with: a multiple of four."""
        return min(self.studies, peer.most_studies or self.studies) // 4 * 4

    def warming(self) -> Size:
        """A little of it, so that processes have loaded what they need and caches are warm."""
        return replace(self, ct=16, small=16, large=(4, 4, 4), repeats=3)


WHOLE = Size(rounds=5, ct=320, small=480, large=(32, 20, 8), studies=50_000, repeats=60)
SHORT = Size(rounds=3, ct=128, small=240, large=(8, 8, 4), studies=4_000, repeats=20)


@dataclass(frozen=True, slots=True)
class Stored:
    """The figures of a load, and how many of the instances sent were not taken."""

    figures: tuple[float, ...]
    refused: int
    sent: int


Measure = Callable[[Peer, Size], tuple[float, ...] | Stored]


@dataclass(frozen=True, slots=True)
class Task:
    """Work that gives one figure for each of `rows`; `name` selects it, `needs` is what the archive must hold.

    `is_web`: only archives with a DICOMweb door take part.
    """

    name: str
    rows: tuple[Work, ...]
    measure: Measure
    needs: str = ""
    warms_up: bool = True
    is_web: bool = False

    def is_for(self, peer: Peer) -> bool:
        """Whether that archive can take part."""
        return not self.is_web or peer.http_port is not None


Values = Sequence[str]


def store(item: BenchObject, count: int, associations: int, peer: Peer) -> Stored:
    """Instances a second, and CPU seconds that the peer spent on 1 000; each association sends a study of its own.

    Both by what was taken.
    """
    load_number = next(_loads)

    def values(association: int, number: int) -> Values:
        study = load_number * _LOAD + association * _ASSOCIATION
        return (
            numbered_uid(10**10 + study + number),
            numbered_uid(10**10 + study, 2),
            numbered_uid(10**10 + study, 3),
            objects.patient_id(50_000_000 + load_number * 100 + association),
            "20240131",
        )

    load = Load(item.dataset, item.sop_class_uid, count, associations, 0, objects.FIELDS, values)
    before = usage.cpu_seconds(peer.roots())
    result = run_load(peer.address, load, peer.ae_title)
    spent = usage.cpu_seconds(peer.roots()) - before
    expected = load.share * associations
    if result.succeeded < expected * (1 - peer.refused):
        raise incomplete(result, expected)
    figures = (result.rate, spent / result.succeeded * 1000)
    return Stored(figures, expected - result.succeeded, expected)


def incomplete(result: LoadResult, expected: int) -> RuntimeError:
    """What to say of a load of which too little was stored."""
    reasons = ", ".join(f"{count} x {text}" for text, count in Counter(result.failures).items())
    return RuntimeError(f"{result.succeeded} of {expected} were answered with Success; {reasons}")


def store_task(name: str, work: Work, item: BenchObject, associations: int) -> Task:
    """A row of storing; its CPU time is not shown."""

    def measure(peer: Peer, size: Size) -> Stored:
        count = size.small if name.startswith("small") else size.ct
        return store(item, count, associations, peer)

    return Task(name, (work,), measure)


def large_task(number: int, item: BenchObject) -> Task:
    """A row of storing large images through four associations."""
    work = Work(f"large-{number}", f"C-STORE {item.title}, 4 associations", "/s", 1.5)

    def measure(peer: Peer, size: Size) -> Stored:
        return store(item, size.large[number], 4, peer)

    return Task(work.key, (work,), measure)


def store_with_cpu(peer: Peer, size: Size) -> Stored:
    """CT through four associations, and what the machine spent on it."""
    return store(objects.ct(), size.ct, 4, peer)


def opening(peer: Peer, size: Size) -> tuple[float, ...]:
    """Milliseconds from connect to A-ASSOCIATE-AC, median."""
    contexts = [(samples.CT_IMAGE, samples.EXPLICIT)]
    request = raw_pdus.associate_request(contexts, peer.ae_title)
    times = []
    for _ in range(size.repeats):
        started = time.perf_counter()
        connection, _ = open_association(peer.address, request)
        times.append((time.perf_counter() - started) * 1000)
        release(connection)
    return (statistics.median(times),)


STUDY_KEYS = (
    *("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyTime", "AccessionNumber"),
    *("StudyDescription", "StudyInstanceUID", "ModalitiesInStudy"),
    *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
)
_SERIES_KEYS = ("Modality", "SeriesNumber", "SeriesDescription", "SeriesInstanceUID")
_INSTANCE_KEYS = ("SOPClassUID", "SOPInstanceUID", "InstanceNumber")


def identifier(level: str, keys: Sequence[str], **given: str) -> bytes:
    """An identifier with empty return keys and the keys given."""
    values = dict.fromkeys(keys, "") | {"QueryRetrieveLevel": level} | given
    return samples.dataset(values, samples.IMPLICIT)


def find_by_patient(number: int, studies: int) -> bytes:
    """Two studies of one patient."""
    wanted = objects.patient_id(number * 37 % (studies // 2))
    return identifier("STUDY", STUDY_KEYS, PatientID=wanted)


def find_week(number: int, studies: int) -> bytes:
    """The studies of a week."""
    return identifier("STUDY", STUDY_KEYS, StudyDate=objects.week(number, studies))


def find_series(number: int, studies: int) -> bytes:
    """The series of a study."""
    study = numbered_uid(number * 41 % studies, 2)
    return identifier("SERIES", _SERIES_KEYS, StudyInstanceUID=study)


def find_instances(_number: int, _studies: int) -> bytes:
    """The images of the long series."""
    uids = {
        "StudyInstanceUID": numbered_uid(SERIES, 2),
        "SeriesInstanceUID": numbered_uid(SERIES, 3),
    }
    return identifier("IMAGE", _INSTANCE_KEYS, **uids)


def find_task(
    work: Work, query: Callable[[int, int], bytes], share: float, matches: range, needs: str
) -> Task:
    """Median milliseconds of a C-FIND on one association; `share` of the repeats; it must find so many."""

    def measure(peer: Peer, size: Size) -> tuple[float, ...]:
        studies = size.studies_of(peer)
        repeats = max(3, round(size.repeats * share))
        queries = [query(number, studies) for number in range(repeats)]
        request = raw_pdus.associate_request([(FIND, samples.IMPLICIT)], peer.ae_title)
        times = []
        with RawAssociation(peer.address, request) as association:
            association.find(FIND, queries[0])
            for wanted in queries:
                started = time.perf_counter()
                found = association.find(FIND, wanted)
                times.append((time.perf_counter() - started) * 1000)
                if found not in matches:
                    raise RuntimeError(f"{found} matches, not {matches}")
        return (statistics.median(times),)

    return Task(work.key, (work,), measure, needs)


def _series_identifier() -> bytes:
    uids = {
        "StudyInstanceUID": numbered_uid(SERIES, 2),
        "SeriesInstanceUID": numbered_uid(SERIES, 3),
    }
    return identifier("SERIES", (), **uids)


def get_series(peer: Peer, _size: Size) -> tuple[float, ...]:
    """Images a second by C-GET, on an association that is open already."""
    contexts = [(GET, samples.IMPLICIT), (samples.CT_IMAGE, samples.EXPLICIT)]
    request = raw_pdus.associate_request(contexts, peer.ae_title, [samples.CT_IMAGE])
    with RawAssociation(peer.address, request) as association:
        started = time.perf_counter()
        received = association.get(GET, _series_identifier())
        seconds = time.perf_counter() - started
    return (_rate(received, seconds),)


def move_series(peer: Peer, _size: Size) -> tuple[float, ...]:
    """Images a second by C-MOVE to a destination that only reads, connecting to it included."""
    request = raw_pdus.associate_request([(MOVE, samples.IMPLICIT)], peer.ae_title)
    with RawAssociation(peer.address, request) as association:
        started = time.perf_counter()
        completed = association.move(MOVE, _series_identifier(), raw_sink.AE_TITLE)
        seconds = time.perf_counter() - started
    return (_rate(completed, seconds),)


def _rate(count: int, seconds: float) -> float:
    if count != SERIES_INSTANCES:
        raise RuntimeError(f"{count} of {SERIES_INSTANCES} images came")
    return count / seconds


def memory(peer: Peer, _size: Size) -> tuple[float, ...]:
    """MiB of resident memory of all processes, shared pages divided among them."""
    return (usage.pss_bytes(peer.roots()) / 2**20,)


def client_rates(sink: tuple[str, int], size: Size) -> str:
    """What the client does when nobody holds it up: C-STORE to a destination that only reads."""
    said = []
    for item, count in ((objects.ct(), size.ct), (objects.small(), size.small * 4)):
        before = time.process_time()
        load = Load(item.dataset, item.sop_class_uid, count, 4, 0, objects.FIELDS)
        result = run_load(
            sink, replace(load, values=lambda _a, _n: objects.FIELDS), raw_sink.AE_TITLE
        )
        cpu = (time.process_time() - before) / result.succeeded * 1000
        said.append(
            f"{item.title}: {result.rate:.0f} /s with 4 associations, {cpu:.2f} s of CPU for 1 000"
        )
    return "; ".join(said)
