"""Build the archive from its configuration: the only place that constructs things."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vna.audit import AuditLog
from vna.bootstrap_database import database_of, prepare_data_dir
from vna.bootstrap_storage import object_store_of, spool_seals
from vna.bootstrap_upkeep import Parts, upkeep_of
from vna.config import Config
from vna.errors import ConfigError
from vna.index.audit import PostgresAuditLog
from vna.index.changes import ChangeIndex
from vna.index.commitments import CommitmentIndex
from vna.index.commitments_asked import AskedCommitmentIndex
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres
from vna.index.instances import InstanceIndex
from vna.index.jobs import JobQueue
from vna.index.kept_objects import KeptObjectIndex
from vna.index.search import SearchIndex
from vna.index.trash import TrashIndex
from vna.index.upgrade import upgrade
from vna.own_secret import own_secret
from vna.services.anonymizing import AnonymizingService
from vna.services.asked_commitment import AskedCommitmentService
from vna.services.changes import ChangeService
from vna.services.commitment import CommitmentService
from vna.services.decoders import Decoders
from vna.services.delivery import DeliveryService
from vna.services.draining import DrainService
from vna.services.encapsulated import DocumentService
from vna.services.frames import FrameService
from vna.services.health import HealthService
from vna.services.metadata import MetadataService
from vna.services.piecewise import PiecewiseConversion
from vna.services.pixels import PixelService
from vna.services.placement import Placement
from vna.services.query import QueryService
from vna.services.rebuilding import RebuildService
from vna.services.rendering import RenderService, RenderSettings
from vna.services.replication import ReplicationService
from vna.services.retrieve import RetrieveService
from vna.services.sources import Sources
from vna.services.storage import ObjectStore
from vna.services.store import StoreService
from vna.services.trash import TrashService
from vna.services.verification import VerificationService
from vna.spool import Spool


@dataclass(frozen=True, slots=True)
class Archive:
    """Everything a door or a command needs; close it when done, or use it as a context."""

    config: Config
    store: StoreService
    query: QueryService
    retrieve: RetrieveService
    decoders: Decoders
    pixels: PixelService
    frames: FrameService
    delivery: DeliveryService
    rendering: RenderService
    documents: DocumentService
    anonymizing: AnonymizingService
    metadata: MetadataService
    replication: ReplicationService
    trash: TrashService
    verification: VerificationService
    rebuilding: RebuildService
    draining: DrainService
    changes: ChangeService
    health: HealthService
    commitments: CommitmentService
    asked_commitments: AskedCommitmentService
    jobs: JobQueue
    audit: AuditLog
    index: InstanceIndex
    database: Database
    objects: ObjectStore
    spool: Spool
    embedded: EmbeddedPostgres | None

    def close(self) -> None:
        """Release database, storage and the hold on an embedded Postgres."""
        self.commitments.close()
        self.draining.close()
        self.decoders.close()
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
        objects = object_store_of(config.storage, data_dir)
        undo.callback(objects.close)
        spool = Spool(
            _spool_directory(config),
            config.spool.memory_bytes,
            config.spool.process_memory_bytes,
            seals=spool_seals(config.storage),
        )
        undo.callback(spool.close)
        spool.sweep()
        embedded = None if config.database.url else EmbeddedPostgres.start(data_dir)
        if embedded is not None:
            undo.callback(embedded.release)
        database = database_of(config, embedded)
        undo.callback(database.close)
        # Nobody else serves from a Postgres of our own.
        upgrade(database, config.database.partitions, with_post=embedded is not None)
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
    index, audit, jobs = InstanceIndex(database), PostgresAuditLog(database), JobQueue(database)
    retrieve, decoders = RetrieveService(index, objects, audit), Decoders(config.decoding)
    max_bytes = config.archive.max_transcode_bytes
    pixels = PixelService(retrieve, max_bytes, decoders)
    piecewise = PiecewiseConversion(retrieve, decoders, max_bytes)
    delivery = DeliveryService(retrieve, pixels, piecewise)
    frames = FrameService(retrieve, pixels, decoders, max_bytes)
    issuer, placement = config.archive.issuer_of_patient_id, Placement(config.storage)
    store = StoreService(index, objects, spool, audit, issuer, placement)
    replication = ReplicationService(index.replicas, objects)
    upkeep = upkeep_of(Parts(database, objects, placement, store, replication, audit))
    return Archive(
        config=config,
        store=store,
        query=QueryService(SearchIndex(database, config.archive.timezone), config.archive.timezone),
        retrieve=retrieve,
        decoders=decoders,
        pixels=pixels,
        frames=frames,
        delivery=delivery,
        rendering=RenderService(retrieve, frames, decoders, _rendering(config)),
        documents=DocumentService(retrieve, max_bytes),
        anonymizing=AnonymizingService(delivery, decoders, max_bytes, _pseudonym_secret(config)),
        metadata=MetadataService(index, retrieve, config.web.metadata_cache_bytes),
        replication=replication,
        verification=upkeep.verification,
        rebuilding=upkeep.rebuilding,
        draining=upkeep.draining,
        trash=TrashService(TrashIndex(database), objects, config.trash.keep_days),
        changes=ChangeService(ChangeIndex(database)),
        health=HealthService(database, objects),
        commitments=_commitments(config, database, jobs, index, objects),
        asked_commitments=AskedCommitmentService(AskedCommitmentIndex(database)),
        jobs=jobs,
        audit=audit,
        index=index,
        database=database,
        objects=objects,
        spool=spool,
        embedded=embedded,
    )


def _commitments(
    config: Config,
    database: Database,
    jobs: JobQueue,
    index: InstanceIndex,
    objects: ObjectStore,
) -> CommitmentService:
    return CommitmentService(
        CommitmentIndex(database, jobs),
        KeptObjectIndex(database),
        objects,
        config.commitment,
        Sources(index.replicas, objects).doubt,
    )


def _pseudonym_secret(config: Config) -> bytes:
    secret = config.archive.pseudonym_secret
    return secret.encode() if secret else own_secret(prepare_data_dir(config) / "pseudonym.secret")


def _rendering(config: Config) -> RenderSettings:
    web = config.web
    return RenderSettings(
        web.rendered_cache_bytes, web.rendered_max_pixels, config.archive.max_transcode_bytes
    )


def _spool_directory(config: Config) -> Path:
    directory = config.spool_directory.expanduser().resolve()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"cannot make spool.directory {directory}: {exc.strerror}") from exc
    return directory
