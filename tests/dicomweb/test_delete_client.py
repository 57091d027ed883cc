"""Python's dicomweb-client deletes at all three levels."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from tests.dicomweb.servers import gunicorn
from tests.dicomweb.test_delete import instance
from vna.index.database import Database

pytestmark = pytest.mark.slow


def test_a_client_deletes(database: Database, tmp_path: Path) -> None:
    files = [instance(1), instance(2), instance(1, series=1), instance(1, series=2)]
    with gunicorn(database.url, tmp_path / "data") as server:
        client = DICOMwebClient(server.url)
        client.store_instances([dcmread(io.BytesIO(file)) for file in files])
        client.delete_instance("1.2", "1.2.0", "1.2.0.1")
        assert len(client.search_for_instances("1.2")) == 3
        client.delete_series("1.2", "1.2.1")
        assert len(client.search_for_instances("1.2")) == 2
        client.delete_study("1.2")
        assert client.search_for_studies() == []
        client.store_instances([dcmread(io.BytesIO(file)) for file in files])
        assert len(client.search_for_instances("1.2")) == 4
        assert len(server.stored_files()) == 8
