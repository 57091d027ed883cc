"""A process that writes copies and dies by SIGKILL at a chosen step.

Arguments: database URL, directory, place of the copies, step.
"""

from __future__ import annotations

from pathlib import Path

from storage_backends.filesystem import FilesystemBackend
from tests.services.conftest import ORIGIN, Bench, make_bench_over
from tests.services.dying import Patch, die_at
from tests.services.places import backend_at
from tests.services.several_stores import instance
from vna.config_storage import BackendConfig, StorageConfig
from vna.index import prepared
from vna.index.database import Database
from vna.index.replicas import ReplicaIndex
from vna.services.keeping import Keeping
from vna.services.storage import ObjectStore

NEAR, FAR = "near", "far"
STORE, COPY, HEAL = "store", "copy", "heal"
STEPS: dict[str, tuple[str, Patch, bool]] = {
    "one of two objects is kept": (STORE, (ObjectStore, "keep"), True),
    "both objects are kept": (STORE, (Keeping, "run"), True),
    "the commit of both is asked for": (STORE, (prepared, "_result_before_sync"), False),
    "the commit of both is confirmed": (STORE, (prepared, "_result_before_sync"), True),
    "what is due is taken": (COPY, (ReplicaIndex, "take"), True),
    "the copy is about to be written": (COPY, (ObjectStore, "write"), False),
    "the copy is written": (COPY, (ObjectStore, "write"), True),
    "the copy is about to be noted": (COPY, (ReplicaIndex, "written"), False),
    "the copy is noted": (COPY, (ReplicaIndex, "written"), True),
    "the broken one is looked at": (HEAL, (ObjectStore, "examine"), True),
    "a new one is written for the broken one": (HEAL, (ObjectStore, "write"), True),
    "the new one is in its place": (HEAL, (ReplicaIndex, "written"), True),
}
"""What has just happened -> what is being done, the function at which the process dies, and whether after it."""


def bench_of(database: Database, directory: Path, place: str, verb: str) -> Bench:
    """Objects near, their copies far: before the acknowledgement when it stores, later else."""
    backends = {
        NEAR: FilesystemBackend(directory / NEAR),
        FAR: backend_at(place, directory / "at"),
    }
    for name, backend in backends.items():
        backend.name = name
    storage = StorageConfig(
        NEAR,
        copies=(NEAR, FAR) if verb == STORE else (NEAR,),
        later=() if verb == STORE else (FAR,),
        backends={name: BackendConfig(name) for name in backends},
    )
    return make_bench_over(database, backends, storage, directory / "spool")


def main(url: str, directory: Path, place: str, step: str) -> None:
    """Dies."""
    verb, patch, is_after = STEPS[step]
    bench = bench_of(Database(url, pool_size=8), directory, place, verb)
    die_at(patch, is_after=is_after)
    if verb == STORE:
        bench.keep(instance(0))
    else:
        bench.replication.work(ORIGIN)
