"""What the HTTP door needs of the archive."""

from __future__ import annotations

from typing import Protocol

from vna.services.health import HealthService
from vna.services.metadata import MetadataService
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.retrieve import RetrieveService
from vna.services.store import StoreService


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
    def metadata(self) -> MetadataService: ...
    @property
    def health(self) -> HealthService: ...
