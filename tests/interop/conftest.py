"""The archive that programs of others talk to, and a network in which they may listen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests.peers import namespace
from tests.scp.site import Site, open_site
from vna.index.database import Database


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """A door over the test database and a filesystem store in a temporary folder."""
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path) as running:
        yield running
    backend.close()


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """A private network, where one can be made: several programs of others listen on every address."""
    if not namespace.is_possible():
        yield
        return
    with namespace.private_network():
        yield
