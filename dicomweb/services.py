"""What the HTTP door needs of the archive."""

from __future__ import annotations

from typing import Protocol

from vna.services.anonymizing import AnonymizingService
from vna.services.changes import ChangeService
from vna.services.delivery import DeliveryService
from vna.services.encapsulated import DocumentService
from vna.services.frames import FrameService
from vna.services.health import HealthService
from vna.services.metadata import MetadataService
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.rendering import RenderService
from vna.services.retrieve import RetrieveService
from vna.services.store import StoreService
from vna.services.trash import TrashService


class Services(Protocol):
    """The services of an archive; `vna.bootstrap.Archive` has them all."""

    @property
    def store(self) -> StoreService: ...
    @property
    def query(self) -> QueryService: ...
    @property
    def retrieve(self) -> RetrieveService: ...
    @property
    def pixels(self) -> PixelService: ...
    @property
    def frames(self) -> FrameService: ...
    @property
    def delivery(self) -> DeliveryService: ...
    @property
    def rendering(self) -> RenderService: ...
    @property
    def anonymizing(self) -> AnonymizingService: ...
    @property
    def documents(self) -> DocumentService: ...
    @property
    def metadata(self) -> MetadataService: ...
    @property
    def trash(self) -> TrashService: ...
    @property
    def changes(self) -> ChangeService: ...
    @property
    def health(self) -> HealthService: ...
