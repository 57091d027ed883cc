"""C-STORE: rates by number of associations, set against receiving alone, synced files and commits."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests import samples
from tests.benchmarks import floors, objects
from tests.benchmarks.raw_client import (
    Load,
    associate_request,
    dataset_with_uid_zero,
    open_association,
    release,
    run_load,
)
from tests.benchmarks.report import Row
from tests.e2e.process import ArchiveProcess

ASSOCIATIONS = (1, 4, 8)
_numbers = itertools.count(1, 1_000_000)
Address = tuple[str, int]


def small_dataset() -> tuple[bytes, str]:
    """An object of about 3 KiB whose SOP Instance UID is number zero, and its SOP class."""
    small = objects.small()
    return small.dataset, small.sop_class_uid


def stores(
    archive: ArchiveProcess, discard: Address, url: str, count: int, directory: Path
) -> Iterator[Row]:
    """C-STORE of 512 KiB CT and of small objects through 1, 4 and 8 associations."""
    kinds = (("CT 512 KiB", dataset_with_uid_zero()), ("small 3 KiB", small_dataset()))
    for (title, (dataset, sop_class)), associations in itertools.product(kinds, ASSOCIATIONS):
        number = count if "512" in title else 2 * count
        load = Load(dataset, sop_class, number, associations, next(_numbers))
        warm = Load(dataset, sop_class, number // 5, associations, next(_numbers))
        address = ("127.0.0.1", archive.dicom_port)
        run_load(address, warm)
        run_load(discard, warm)
        received = run_load(discard, load).rate
        stored = run_load(address, load)
        if stored.succeeded != number // associations * associations:
            raise RuntimeError(f"only {stored.succeeded} of {number} were answered with Success")
        name = f"C-STORE {title}, {associations} association(s)"
        goal = ">= 400 /s and >= 0.5 x" if "512" in title and associations == 4 else ""
        yield Row(name, stored.rate, "/s", "receive and discard", received, goal)
        synced = floors.synced_writes(directory, len(dataset), associations, number)
        yield Row(name, stored.rate, "/s", "write + fsync", synced)
        yield Row(
            name, stored.rate, "/s", "single-row commits", floors.commits(url, associations, number)
        )


def openings(archive: ArchiveProcess, discard: Address, count: int = 100) -> Iterator[Row]:
    """Time from connect to A-ASSOCIATE-AC, median."""
    request = associate_request(samples.CT_IMAGE, samples.EXPLICIT)

    def median(address: Address) -> float:
        times = []
        for _ in range(count):
            started = time.perf_counter()
            connection, _ = open_association(address, request)
            times.append((time.perf_counter() - started) * 1000)
            release(connection)
        return statistics.median(times)

    own = median(("127.0.0.1", archive.dicom_port))
    yield Row(
        "association opened, median", own, "ms", "discarding listener", median(discard), "< 25 ms"
    )
