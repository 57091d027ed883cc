"""A door over the test database and a filesystem store in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests.scp.site import Site, open_site
from vna.index.database import Database


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path) as running:
        yield running
    backend.close()
