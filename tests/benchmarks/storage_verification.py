"""How fast a processor verifies what lies in files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from tests.benchmarks import objects
from tests.benchmarks.objects import BenchObject
from tests.benchmarks.pulling import Study
from tests.benchmarks.report import Row
from tests.peers import usage
from tests.peers.postgres import postmaster_pid
from vna.bootstrap import Archive, build
from vna.config import load_config
from vna.model.identifiers import Origin
from vna.model.verification import Run
from vna.services.verification import HowToVerify

VERIFICATION = "verification"
_MB = 10**6
_ORIGIN = Origin("import", peer="benchmark")
_FIRST = 4 * 10**12
_ROUNDS = 3


def from_files(folder: Path, short: bool) -> Iterator[Row]:
    """All objects of an archive read and hashed: MB for each second of CPU that the archive and its index take."""
    work = ((objects.ct(), 40 if short else 2000), (objects.large()[1], 2 if short else 60))
    for number, (item, count) in enumerate(work):
        data_dir = folder / str(number)
        settings = {"archive": {"data_dir": str(data_dir)}, "log": {"level": "warning"}}
        with build(load_config(None, {}, settings)) as archive:
            size = _fill(archive, item, count)
            postgres = postmaster_pid(data_dir)
            figures = [_verified(archive, postgres, count) for _ in range(1 if short else _ROUNDS)]
        spent, seconds = map(min, zip(*figures, strict=True))
        name, floor = f"verification of {item.title} in files", _hashed(item.dataset)
        yield Row(f"{name}, a core", size / _MB / spent, "MB/s", "hashing", floor, ">= 500 MB/s")
        yield Row(f"{name}, 4 threads", size / _MB / seconds, "MB/s")


def _fill(archive: Archive, item: BenchObject, count: int) -> int:
    """Store `count` instances as a door would; how many bytes they are."""
    size = 0
    for file in Study(_FIRST, count * len(item.dataset), item).files():
        with archive.store.spool.open() as writer:
            writer.write(file)
            with writer.finish() as spooled:
                archive.store.store(spooled, _ORIGIN)
        size += len(file)
    return size


def _verified(archive: Archive, postgres: int, count: int) -> tuple[float, float]:
    """Seconds of CPU, and on the wall, that one run over everything takes. Raises RuntimeError for any fault."""
    cpu, started = _cpu(postgres), time.perf_counter()
    run: Run = archive.verification.everything(HowToVerify(_ORIGIN))
    seconds = time.perf_counter() - started
    if run.faults or run.objects != count:
        raise RuntimeError(f"{run.objects} of {count} objects were seen, with {run.faults} faults")
    return _cpu(postgres) - cpu, seconds


def _cpu(postgres: int) -> float:
    return time.process_time() + usage.cpu_seconds([postgres])


def _hashed(data: bytes) -> float:
    """MB a second of CPU that hashing alone would allow."""
    started = time.process_time()
    rounds = max(1, 5 * 10**8 // len(data))
    for _ in range(rounds):
        blake3(data)
    return rounds * len(data) / _MB / (time.process_time() - started)
