"""A whole archive over the embedded Postgres and storage in memory, and HTTP clients for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dicomweb.app import create_app
from storage_backends.memory import MemoryBackend
from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import Server, gunicorn
from vna.config import WebConfig
from vna.index.audit import PostgresAuditLog
from vna.index.changes import ChangeIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.search import SearchIndex
from vna.index.trash import TrashIndex
from vna.services.anonymizing import AnonymizingService
from vna.services.changes import ChangeService
from vna.services.decoders import InProcess
from vna.services.delivery import DeliveryService
from vna.services.encapsulated import DocumentService
from vna.services.frames import FrameService
from vna.services.health import HealthService
from vna.services.metadata import MetadataService
from vna.services.piecewise import PiecewiseConversion
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.rendering import RenderService, RenderSettings
from vna.services.retrieve import RetrieveService
from vna.services.storage import ObjectStore
from vna.services.store import StoreService
from vna.services.trash import TrashService
from vna.spool import Spool


@dataclass(frozen=True, slots=True)
class Archive:
    """Real services; only the objects lie in memory."""

    store: StoreService
    query: QueryService
    retrieve: RetrieveService
    pixels: PixelService
    frames: FrameService
    delivery: DeliveryService
    rendering: RenderService
    documents: DocumentService
    anonymizing: AnonymizingService
    metadata: MetadataService
    trash: TrashService
    changes: ChangeService
    health: HealthService
    backend: MemoryBackend
    spool_directory: Path

    def app(self, settings: WebConfig | None = None) -> Flask:
        """The gateway to this archive."""
        return create_app(self, settings or WebConfig())

    def spooled(self) -> list[Path]:
        """What still lies in the spool."""
        files = [path for path in self.spool_directory.rglob("*") if path.is_file()]
        return [path for path in files if path.suffix != ".lock"]


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Iterator[Archive]:
    """An empty archive."""
    backend = MemoryBackend()
    objects = ObjectStore({backend.name: backend}, backend.name)
    index, audit = InstanceIndex(database), PostgresAuditLog(database)
    spool = Spool(tmp_path / "spool", 64 * 1024)
    retrieve = RetrieveService(index, objects, audit)
    pixels = PixelService(retrieve, 2**26, InProcess())
    frames = FrameService(retrieve, pixels, InProcess(), 2**26)
    piecewise = PiecewiseConversion(retrieve, InProcess(), 2**26)
    delivery = DeliveryService(retrieve, pixels, piecewise)
    yield Archive(
        store=StoreService(index, objects, spool, audit),
        query=QueryService(SearchIndex(database)),
        retrieve=retrieve,
        pixels=pixels,
        frames=frames,
        delivery=delivery,
        rendering=RenderService(retrieve, frames, InProcess(), RenderSettings(cache_bytes=2**22)),
        documents=DocumentService(retrieve, 2**26),
        anonymizing=AnonymizingService(delivery, InProcess(), 2**26, b"secret"),
        metadata=MetadataService(index, retrieve, 2**20),
        trash=TrashService(TrashIndex(database), objects, 30),
        changes=ChangeService(ChangeIndex(database)),
        health=HealthService(database, objects),
        backend=backend,
        spool_directory=tmp_path / "spool",
    )
    spool.close()


@pytest.fixture(scope="session")
def gateway(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The gateway in a process of its own: one for all tests, each of which it would keep waiting for seconds."""
    with gunicorn(database_url, tmp_path_factory.mktemp("gateway") / "data") as running:
        yield running


@pytest.fixture
def server(gateway: Server, database: Database) -> Iterator[Server]:
    """That gateway, over an empty archive; it has to be left as it is found."""
    del database  # emptied after this test
    yield gateway
    gateway.forget()


@pytest.fixture
def own_server(database: Database, tmp_path: Path) -> Iterator[Server]:
    """A gateway over an empty archive that a test may kill, or weigh."""
    with gunicorn(database.url, tmp_path / "data") as running:
        yield running


@pytest.fixture
def client(archive: Archive) -> FlaskClient:
    """A client of the archive with default settings."""
    return archive.app().test_client()


@pytest.fixture
def keep(client: FlaskClient) -> Keep:
    """Stores Part 10 files through STOW-RS."""
    return Keep(client)


@dataclass(frozen=True, slots=True)
class Keep:
    """Call it with files; it checks that all were stored."""

    client: FlaskClient

    def __call__(self, *files: bytes) -> None:
        data, content_type = stow_body(*files)
        response = self.client.post(
            "/dicom-web/studies", data=data, content_type=content_type, buffered=True
        )
        assert response.status_code in {200, 202}, response.text
