"""A process that deletes, restores or sweeps and dies by SIGKILL at a chosen step.

Arguments: database URL, directory, place of the objects, step.
"""

from __future__ import annotations

from pathlib import Path

from storage_backends.filesystem import FilesystemBackend
from storage_backends.s3 import S3Backend
from tests.services.conftest import Bench, make_bench
from tests.services.dying import Patch, die_at
from tests.services.places import FILESYSTEM, backend_at
from vna.index.database import Database
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids, Origin

ORIGIN = Origin("web", "somebody", "", "the one that dies")
STUDY = InstanceUids("1.2", "", "")

REMOVAL: Patch = (None, "delete")
"""Of the driver that the objects lie with."""
STEPS: dict[str, tuple[str, Patch, bool]] = {
    "the deletion is asked for": ("delete", (TrashIndex, "_row"), False),
    "the deletion is committed": ("delete", (TrashIndex, "_row"), True),
    "the restore is asked for": ("restore", (TrashIndex, "_row"), False),
    "the restore is committed": ("restore", (TrashIndex, "_row"), True),
    "the sweep has begun": ("sweep", (TrashIndex, "claim"), True),
    "the first object is about to be removed": ("sweep", REMOVAL, False),
    "the first object is removed": ("sweep", REMOVAL, True),
    "all objects are removed": ("sweep", (TrashIndex, "swept"), False),
    "the rows are removed": ("sweep", (TrashIndex, "swept"), True),
    "the last of all": ("sweep", (TrashIndex, "forget"), False),
}
"""What has just happened -> what is being done, the function at which the process dies, and whether after it."""


def work(bench: Bench, verb: str) -> None:
    """Do what the step belongs to."""
    if verb == "delete":
        bench.trash.delete(STUDY, ORIGIN)
        return
    (entry,) = bench.trash.entries()
    if verb == "restore":
        bench.trash.restore(entry.trash_id, ORIGIN)
    else:
        bench.trash.sweep(ORIGIN, days=0)


def main(url: str, directory: Path, place: str, step: str) -> None:
    """Dies."""
    bench = make_bench(
        Database(url, pool_size=2), backend_at(place, directory), directory / "spool"
    )
    verb, patch, is_after = STEPS[step]
    driver = FilesystemBackend if place == FILESYSTEM else S3Backend
    die_at((driver, REMOVAL[1]) if patch is REMOVAL else patch, is_after=is_after)
    work(bench, verb)
