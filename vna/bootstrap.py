"""Build the archive from its configuration: the only place that constructs things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from storage_backends.base import StorageBackend
from storage_backends.errors import StorageError
from storage_backends.metered import MeteredBackend
from storage_backends.registry import open_backend
from storage_backends.retrying import RetryingBackend
from vna import metrics
from vna.audit import AuditLog
from vna.config import Config
from vna.errors import ConfigError
from vna.index.audit import PostgresAuditLog
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex
from vna.index.upgrade import upgrade
from vna.services.health import HealthService
from vna.services.metadata import MetadataService
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.retrieve import RetrieveService
from vna.services.storage import ObjectStore
from vna.services.store import StoreService
from vna.spool import Spool

VOLATILE = "memory"


@dataclass(frozen=True, slots=True)
class Archive:
    """Everything a door or a command needs; close it when done, or use it as a context."""

    config: Config
    store: StoreService
    query: QueryService
    retrieve: RetrieveService
    pixels: PixelService
    metadata: MetadataService
    health: HealthService
    audit: AuditLog
    index: InstanceIndex
    database: Database
    objects: ObjectStore
    spool: Spool
    embedded: EmbeddedPostgres | None

    def close(self) -> None:
        """Release database, storage and the hold on an embedded Postgres."""
        self.database.close()
        self.spool.close()
        self.objects.close()
        if self.embedded is not None:
            self.embedded.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def build(config: Config) -> Archive:
    """An archive ready to serve, its schema up to date. Raises ConfigError, Unavailable; nothing stays open then."""
    with ExitStack() as undo:
        data_dir = prepare_data_dir(config)
        objects = ObjectStore(_backends(config, data_dir), config.storage.backend)
        undo.callback(objects.close)
        spool = Spool(
            _spool_directory(config), config.spool.memory_bytes, config.spool.process_memory_bytes
        )
        undo.callback(spool.close)
        spool.sweep()
        embedded = None if config.database.url else EmbeddedPostgres.start(data_dir)
        if embedded is not None:
            undo.callback(embedded.release)
        database = _database(config, embedded)
        undo.callback(database.close)
        upgrade(database)
        archive = _assemble(config, database, embedded, objects, spool)
        undo.pop_all()
    return archive


def _assemble(
    config: Config,
    database: Database,
    embedded: EmbeddedPostgres | None,
    objects: ObjectStore,
    spool: Spool,
) -> Archive:
    index, audit = InstanceIndex(database), PostgresAuditLog(database)
    retrieve = RetrieveService(index, objects, audit)
    return Archive(
        config=config,
        store=StoreService(index, objects, spool, audit, config.archive.issuer_of_patient_id),
        query=QueryService(SearchIndex(database)),
        retrieve=retrieve,
        pixels=PixelService(retrieve, config.archive.max_transcode_bytes),
        metadata=MetadataService(index, retrieve, config.web.metadata_cache_bytes),
        health=HealthService(database, objects),
        audit=audit,
        index=index,
        database=database,
        objects=objects,
        spool=spool,
        embedded=embedded,
    )


@contextmanager
def open_database(config: Config) -> Iterator[Database]:
    """Only the database, its schema as it is. Raises ConfigError, Unavailable."""
    with ExitStack() as stack:
        embedded = None
        if not config.database.url:
            embedded = stack.enter_context(EmbeddedPostgres.start(prepare_data_dir(config)))
        yield stack.enter_context(_database(config, embedded))


def _database(config: Config, embedded: EmbeddedPostgres | None) -> Database:
    return Database(
        config.database.url if embedded is None else embedded.url,
        pool_size=config.database.pool_size,
        connect_timeout=config.database.connect_timeout,
    )


def prepare_data_dir(config: Config) -> Path:
    """The data directory, made if it is not there, as an absolute path. Raises ConfigError."""
    data_dir = config.archive.data_dir.expanduser().resolve()
    try:
        data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"cannot make archive.data_dir {data_dir}: {exc.strerror}") from exc
    return data_dir


def _spool_directory(config: Config) -> Path:
    directory = config.spool_directory.expanduser().resolve()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"cannot make spool.directory {directory}: {exc.strerror}") from exc
    return directory


def _backends(config: Config, data_dir: Path) -> Mapping[str, StorageBackend]:
    kind = config.storage.backend
    if kind == VOLATILE:
        raise ConfigError(
            f"storage.backend {kind!r} forgets everything with its process: it is for tests; use filesystem"
        )
    try:
        driver = open_backend(kind, config.storage.options, data_dir=data_dir)
    except StorageError as exc:
        raise ConfigError(f"storage.backend {kind!r} cannot be opened: {exc}") from exc
    return {driver.name: RetryingBackend(MeteredBackend(driver, _Observer(driver.name)))}


@dataclass(frozen=True, slots=True)
class _Observer:
    """Writes what MeteredBackend sees to the archive's metrics."""

    backend: str

    def __call__(self, operation: str, seconds: float, size: int, error: str) -> None:
        metrics.STORAGE_SECONDS.labels(self.backend, operation).observe(seconds)
        metrics.STORAGE_BYTES.labels(self.backend, operation).inc(size)
        if error:
            metrics.STORAGE_ERRORS.labels(self.backend, operation, error).inc()
