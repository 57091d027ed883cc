"""The services as bootstrap builds them, over the test database and a store in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage_backends.base import StorageBackend
from storage_backends.encryption import EncryptedBackend
from storage_backends.filesystem import FilesystemBackend
from tests.backends.conftest import s3_server
from tests.services.two_stores import open_stores, pair, stores
from vna.bootstrap_upkeep import Parts, upkeep_of
from vna.config_storage import StorageConfig, default_copies
from vna.index.audit import PostgresAuditLog
from vna.index.changes import ChangeIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex
from vna.index.trash import TrashIndex
from vna.model.identifiers import Origin
from vna.services.changes import ChangeService
from vna.services.decoders import InProcess
from vna.services.draining import DrainService
from vna.services.leaving import LeftObjects
from vna.services.metadata import MetadataService
from vna.services.pixels import PixelService
from vna.services.placement import Placement
from vna.services.query import QueryService
from vna.services.rebuilding import RebuildService
from vna.services.replication import ReplicationService
from vna.services.retrieve import RetrieveService
from vna.services.storage import ObjectStore
from vna.services.store import Expected, StoreOutcome, StoreService
from vna.services.trash import TrashService
from vna.services.verification import VerificationService
from vna.spool import Spool

if TYPE_CHECKING:
    from tests.services.several_stores import Folders

__all__ = ["open_stores", "pair", "s3_server", "stores"]
ORIGIN = Origin("web", peer="tester", correlation_id="test")


@dataclass(frozen=True)
class Bench:
    """Services, and the parts under them."""

    backend: StorageBackend
    store_directory: Path
    index: InstanceIndex
    store: StoreService
    query: QueryService
    retrieve: RetrieveService
    pixels: PixelService
    metadata: MetadataService
    trash: TrashService
    changes: ChangeService
    verification: VerificationService
    rebuilding: RebuildService
    objects: ObjectStore
    placement: Placement
    replication: ReplicationService
    draining: DrainService
    left: LeftObjects

    def keep(self, data: bytes, expected: Expected | None = None) -> StoreOutcome:
        """Store `data` as a door would."""
        with self.store.spool.open() as writer:
            writer.write(data)
            with writer.finish() as spooled:
                return self.store.store(spooled, ORIGIN, expected)


def make_bench(database: Database, backend: StorageBackend, spool_directory: Path) -> Bench:
    """Services over this database and store; objects above 64 KiB go through spool files, sealed for one that
    encrypts.
    """
    return make_bench_over(
        database, {backend.name: backend}, StorageConfig(backend.name), spool_directory
    )


def make_bench_over(
    database: Database,
    backends: Mapping[str, StorageBackend],
    storage: StorageConfig,
    spool_directory: Path,
) -> Bench:
    """As `make_bench`, with objects placed as `storage` says in backends that are open already."""
    index, audit = InstanceIndex(database), PostgresAuditLog(database)
    first = default_copies(storage)
    objects = ObjectStore(
        backends,
        first[0],
        needed=first,
        draining=[name for name, item in storage.backends.items() if item.drain],
    )
    seals = isinstance(backends[first[0]], EncryptedBackend)
    spool = Spool(spool_directory, 64 * 1024, seals=seals)
    retrieve, placement = RetrieveService(index, objects, audit), Placement(storage)
    store = StoreService(index, objects, spool, audit, placement=placement)
    replication = ReplicationService(index.replicas, objects)
    upkeep = upkeep_of(Parts(database, objects, placement, store, replication, audit))
    return Bench(
        backend=backends[first[0]],
        store_directory=spool_directory.parent / "store",
        index=index,
        store=store,
        query=QueryService(SearchIndex(database)),
        retrieve=retrieve,
        pixels=PixelService(retrieve, 2**24, InProcess()),
        trash=TrashService(TrashIndex(database), objects, 30),
        changes=ChangeService(ChangeIndex(database)),
        metadata=MetadataService(index, retrieve, 2**20),
        verification=upkeep.verification,
        rebuilding=upkeep.rebuilding,
        objects=objects,
        placement=placement,
        replication=replication,
        draining=upkeep.draining,
        left=upkeep.left,
    )


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Iterator[Bench]:
    backend = FilesystemBackend(tmp_path / "store")
    yield make_bench(database, backend, tmp_path / "spool")
    backend.close()


@pytest.fixture
def folders(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Folders]:
    """Backends in folders of their own: a, b and c, or those that the module names as FOLDERS."""
    from tests.services.several_stores import Folders  # which imports from here

    folders = Folders(tmp_path, getattr(request.module, "FOLDERS", "a b c"))
    yield folders
    folders.close()


@pytest.fixture
def another(database: Database, tmp_path: Path) -> Bench:
    """Another process on the same index and store."""
    return make_bench(database, FilesystemBackend(tmp_path / "store"), tmp_path / "spool2")
