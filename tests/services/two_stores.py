"""The services over two stores, with rules for what goes where."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage_backends.base import StorageBackend
from storage_backends.digests import digest_of
from storage_backends.encryption import EncryptedBackend
from storage_backends.errors import BackendUnavailable
from storage_backends.filesystem import FilesystemBackend
from storage_backends.s3 import S3Backend
from storage_backends.streams import read_exactly
from tests.backends.test_encrypted_contract import keyring
from tests.s3_server import S3Server
from tests.services.faulty import ALWAYS, Fault, FaultyBackend
from vna.config_storage import BackendConfig, RuleConfig, StorageConfig, default_copies
from vna.index.audit import PostgresAuditLog
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.model.identifiers import Origin, Selection
from vna.model.instances import Location, StoredInstance
from vna.services.placement import Placement
from vna.services.replication import ReplicationService
from vna.services.retrieve import RetrieveService
from vna.services.storage import ObjectStore
from vna.services.store import StoreOutcome, StoreService
from vna.spool import Spool

ORIGIN = Origin("dimse", peer="CT1", correlation_id="test")
AWAY = Fault("connection refused", "open", "before", BackendUnavailable)
NO_WRITES = Fault("connection refused", "put", "before", BackendUnavailable)


@dataclass(frozen=True)
class TwoStores:
    """Services, and the parts under them."""

    backends: Mapping[str, FaultyBackend]
    database: Database
    objects: ObjectStore
    index: InstanceIndex
    store: StoreService
    retrieve: RetrieveService
    replication: ReplicationService

    def keep(self, data: bytes, origin: Origin = ORIGIN) -> StoreOutcome:
        """Store `data` as a door would."""
        with self.store.spool.open() as writer:
            writer.write(data)
            with writer.finish() as spooled:
                return self.store.store(spooled, origin)

    def kept(self, data: bytes) -> StoredInstance:
        """`data`, stored, as it is retrieved."""
        outcome = self.keep(data)
        return self.find(outcome.uids.sop_instance_uid)

    def find(self, uid: str) -> StoredInstance:
        """The instance with this UID."""
        (found,) = self.retrieve.select(Selection(sop_instance_uids=(uid,)))
        return found

    def copies(self, instance: StoredInstance) -> list[Location]:
        """Where it lies beside its location."""
        return self.index.replicas.copies_of(instance.location)

    def amounts(self) -> dict[str, int]:
        """How many objects there are, by backend."""
        return {name: sum(1 for _ in backend.scan()) for name, backend in self.backends.items()}

    def bytes_at(self, place: Location) -> bytes:
        """What lies there."""
        with self.objects.open(place) as reader:
            return read_exactly(reader, place.length)

    def lose(self, place: Location) -> None:
        """Behind the archive's back."""
        self.backends[place.backend].delete(place.key)

    def spoil(self, place: Location) -> None:
        """Turn a bit round, behind the archive's back."""
        data = bytearray(self.bytes_at(place))
        data[-1] ^= 1
        self._replace(place, bytes(data))

    def cut_short(self, place: Location) -> None:
        """Leave half of it, behind the archive's back."""
        self._replace(place, self.bytes_at(place)[: place.length // 2])

    def _replace(self, place: Location, data: bytes) -> None:
        backend = self.backends[place.backend]
        backend.delete(place.key)
        backend.put(place.key, io.BytesIO(data), size=len(data), digest=digest_of(data))

    def take_away(self, *names: str) -> None:
        """Nothing can be read from these any more."""
        for name in names:
            self.backends[name].meet(AWAY, ALWAYS)

    def bring_back(self) -> None:
        """All of them answer again."""
        for backend in self.backends.values():
            backend.recover()

    def one(self, statement: str) -> tuple[object, ...]:
        """A row of the index."""
        with self.database.connection() as connection:
            row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return tuple(row)

    def make_due(self) -> None:
        """Whatever waits need wait no longer."""
        with self.database.connection() as connection:
            connection.execute(
                "UPDATE copy SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL"
            )


def rules(
    copies: tuple[str, ...] = ("near", "far"), later: tuple[str, ...] = (), **others: RuleConfig
) -> StorageConfig:
    """A configuration with these backends."""
    backends = {name: BackendConfig(name) for name in ("near", "far", "third")}
    return StorageConfig("near", copies=copies, later=later, backends=backends, rules=others)


@contextmanager
def two_stores(
    database: Database, spool: Path, backends: Mapping[str, StorageBackend], config: StorageConfig
) -> Iterator[TwoStores]:
    """Services over `backends`, of which each can be told to fail; objects above 64 KiB go through spool files."""
    for name, backend in backends.items():
        backend.name = name
    faulty = {name: FaultyBackend(backend) for name, backend in backends.items()}
    index, audit = InstanceIndex(database), PostgresAuditLog(database)
    objects = ObjectStore(faulty, config.backend)
    seals = isinstance(backends[default_copies(config)[0]], EncryptedBackend)
    yield TwoStores(
        backends=faulty,
        database=database,
        objects=objects,
        index=index,
        store=StoreService(
            index,
            objects,
            Spool(spool, 64 * 1024, seals=seals),
            audit,
            placement=Placement(config),
        ),
        retrieve=RetrieveService(index, objects, audit),
        replication=ReplicationService(index.replicas, objects),
    )
    objects.close()


Open = Callable[[StorageConfig], TwoStores]
Harm = Callable[[TwoStores, Location], None]

PAIRS = ("two filesystems", "filesystem and S3", "S3 and filesystem", "encrypted and plain")
HARMS: tuple[Harm, ...] = (TwoStores.lose, TwoStores.spoil, TwoStores.cut_short)


def _pair(pair: str, folder: Path, server: S3Server) -> dict[str, StorageBackend]:
    near, far = FilesystemBackend(folder / "near"), FilesystemBackend(folder / "far")
    bucket = S3Backend(server.options(prefix=folder.name.replace("_", "-").lower()))
    found: dict[str, tuple[StorageBackend, StorageBackend]] = {
        "two filesystems": (near, far),
        "filesystem and S3": (near, bucket),
        "S3 and filesystem": (bucket, far),
        "encrypted and plain": (EncryptedBackend(near, keyring("one")), far),
    }
    return dict(zip(("near", "far"), found[pair], strict=True))


@pytest.fixture
def pair() -> str:
    return "two filesystems"


@pytest.fixture
def open_stores(
    pair: str, database: Database, tmp_path: Path, s3_server: S3Server
) -> Iterator[Open]:
    opened = []

    def open_with(config: StorageConfig) -> TwoStores:
        backends = _pair(pair, tmp_path, s3_server)
        context = two_stores(database, tmp_path / "spool", backends, config)
        opened.append(context)
        return context.__enter__()

    yield open_with
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def stores(open_stores: Open) -> TwoStores:
    """Two copies of everything before it is acknowledged."""
    return open_stores(rules())


every_pair = pytest.mark.parametrize("pair", PAIRS)
every_harm = pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
every_size = pytest.mark.parametrize("rows", [16, 512], ids=["in memory", "in a spool file"])


def whole(retrieve: RetrieveService, instance: StoredInstance) -> bytes:
    """All bytes of an instance, verified."""
    return bytes(retrieve.load_whole(instance))
