"""Every answer over HTTP about a corrected instance: Python's dicomweb-client, and plain requests."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.corrections import file_of, originals
from tests.dicomweb.servers import Server, gunicorn
from tests.services.conftest import make_bench
from tests.services.test_corrections import keep
from vna.index.database import Database

UIDS = ("1.2", "1.2.1", "1.2.1.1")
TEXT = samples.Typed("OB", bytes(range(256)) * 8)


@pytest.fixture
def stored() -> bytes:
    uids: dict[str, Any] = dict(
        zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), UIDS, strict=True)
    )
    return samples.multiframe(2, rows=64, columns=64, ICCProfile=TEXT, **uids)


@pytest.fixture
def server(database: Database, tmp_path: Path, stored: bytes) -> Iterator[Server]:
    """With the one instance, and the same without a correction under other UIDs."""
    with closing(FilesystemBackend(tmp_path / "data/objects")) as backend:
        bench = make_bench(database, backend, tmp_path / "spool")
        keep(bench, stored)
    with gunicorn(database.url, tmp_path / "data") as running:
        yield running


def check(found: Dataset) -> None:
    assert (found.PatientID, found.IssuerOfPatientID) == ("SOUTH-1", "South")
    assert [was.PatientID for was in originals(found)] == ["PID-1"]


def test_a_client_sees_what_is_corrected(server: Server, stored: bytes) -> None:
    client, old = DICOMwebClient(server.url), file_of(stored)
    assert client.search_for_studies(search_filters={"PatientID": "PID-1"}) == []
    by = {"PatientID": "SOUTH-1"}
    (match,) = client.search_for_instances(search_filters=by, fields=["00100021"])
    assert match["00100021"]["Value"] == ["South"]
    whole = client.retrieve_instance(*UIDS)
    check(whole)
    assert whole.PixelData == old.PixelData
    coded = client.retrieve_instance(*UIDS, media_types=(("application/dicom", samples.RLE),))
    check(coded)
    assert (coded.pixel_array == old.pixel_array).all()
    (described,) = client.retrieve_series_metadata(*UIDS[:2])
    check(Dataset.from_json(described, bulk_data_uri_handler=lambda *_: b""))
    (profile,) = client.retrieve_bulkdata(described["00282000"]["BulkDataURI"])
    assert profile == TEXT.value
    frames = client.retrieve_instance_frames(*UIDS, [1, 2])
    assert b"".join(frames) == old.PixelData
    _check_plain(server)


def _check_plain(server: Server) -> None:
    """What that client does not ask: zip, URI service, entity tags, XML."""
    url = f"{server.url}/studies/{UIDS[0]}/series/{UIDS[1]}/instances/{UIDS[2]}"
    with requests.Session() as http:
        zipped = http.get(url, headers={"Accept": "application/zip; dicomdir=true"}).content
        with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
            (name,) = [name for name in archive.namelist() if "DICOMDIR" not in name]
            check(file_of(archive.read(name)))
            listed = dcmread(io.BytesIO(archive.read("DICOMDIR")))
        assert listed.DirectoryRecordSequence[0].PatientID == "SOUTH-1"
        names = zip(("studyUID", "seriesUID", "objectUID"), UIDS, strict=True)
        asked = {"requestType": "WADO", "contentType": "application/dicom", **dict(names)}
        check(file_of(http.get(server.url.replace("/dicom-web", "/wado"), params=asked).content))
        first = http.get(url, headers={"Accept": "application/dicom"})
        check(file_of(first.content))
        again = {"Accept": "application/dicom", "If-None-Match": first.headers["etag"]}
        assert http.get(url, headers=again).status_code == 304
        native = http.get(
            f"{url}/metadata", headers={"Accept": 'multipart/related; type="application/dicom+xml"'}
        )
        assert b"SOUTH-1" in native.content
        assert b"OriginalAttributesSequence" in native.content
        assert http.get(f"{url}/rendered", headers={"Accept": "image/jpeg"}).status_code == 200
