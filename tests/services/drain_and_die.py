"""A process that empties a backend and dies by SIGKILL at a chosen step.

Arguments: database URL, directory, place of the new objects, step.
"""

from __future__ import annotations

from pathlib import Path

from storage_backends.filesystem import FilesystemBackend
from storage_backends.s3 import S3Backend
from tests.services.conftest import ORIGIN, Bench, make_bench_over
from tests.services.dying import Patch, die_at
from tests.services.places import FILESYSTEM, backend_at
from vna.config_storage import BackendConfig, StorageConfig
from vna.index.database import Database
from vna.index.draining import DrainIndex
from vna.services.draining import HowToDrain

OLD, NEW, FURTHER = "old", "new", "further"
PUT: Patch = (None, "put")
"""Of the driver that the new objects lie with."""
STEPS: dict[str, tuple[Patch, bool]] = {
    "the drain is claimed": ((DrainIndex, "claim"), True),
    "an object is looked up": ((DrainIndex, "holding"), True),
    "a new object is about to be written": (PUT, False),
    "a new object is written": (PUT, True),
    "a row is about to be moved": ((DrainIndex, "move"), False),
    "a row is moved": ((DrainIndex, "move"), True),
    "the first ones are accounted for": ((DrainIndex, "account"), True),
    "an old object is about to be removed": ((FilesystemBackend, "delete"), False),
    "an old object is removed": ((FilesystemBackend, "delete"), True),
    "an old object is forgotten": ((DrainIndex, "forget"), True),
    "all of it is done": ((DrainIndex, "release"), False),
    "the drain has ended": ((DrainIndex, "release"), True),
}
"""What has just happened -> the function at which the process dies, and whether after it."""


def bench_of(database: Database, directory: Path, place: str, *, drains: bool) -> Bench:
    """The archive before the drain (everything in old, a copy in new for the rule's sake) or during it."""
    backends = {
        OLD: FilesystemBackend(directory / OLD),
        NEW: backend_at(place, directory / "at"),
        FURTHER: FilesystemBackend(directory / FURTHER),
    }
    for name, backend in backends.items():
        backend.name = name
    storage = StorageConfig(
        NEW if drains else OLD,
        copies=(NEW, FURTHER) if drains else (OLD, FURTHER),
        backends={
            name: BackendConfig(name, drain=drains and name == OLD)  # the driver is open already
            for name in backends
        },
    )
    return make_bench_over(database, backends, storage, directory / "spool")


def main(url: str, directory: Path, place: str, step: str) -> None:
    """Dies."""
    bench = bench_of(Database(url, pool_size=4), directory, place, drains=True)
    patch, is_after = STEPS[step]
    driver = FilesystemBackend if place == FILESYSTEM else S3Backend
    die_at((driver, PUT[1]) if patch is PUT else patch, is_after=is_after)
    bench.draining.work(OLD, ORIGIN, HowToDrain(threads=1))
