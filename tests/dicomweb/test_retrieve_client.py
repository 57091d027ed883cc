"""Retrieval in other forms under gunicorn, with decoder processes and a real client."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread

from tests import samples
from tests.dicomweb.servers import Server
from tests.samples import JPEG_2000, JPEG_LS, RLE, Typed

pytestmark = pytest.mark.slow

UIDS = ("1.1", "1.2", "1.3")
COUNT, ROWS, COLUMNS = 4, 300, 200


@pytest.fixture
def stored(server: Server) -> Dataset:
    """Large frames, which the kernel sends."""
    random = np.random.default_rng(6)
    pixels = random.integers(0, 4096, COUNT * ROWS * COLUMNS).astype("<u2").tobytes()
    data = samples.multiframe(
        COUNT,
        rows=ROWS,
        columns=COLUMNS,
        bits=16,
        PixelData=Typed("OW", pixels),
        BitsStored=12,
        HighBit=11,
        StudyInstanceUID=UIDS[0],
        SeriesInstanceUID=UIDS[1],
        SOPInstanceUID=UIDS[2],
    )
    found = dcmread(io.BytesIO(data))
    DICOMwebClient(server.url).store_instances([found])
    return found


@pytest.fixture
def client(server: Server) -> DICOMwebClient:
    return DICOMwebClient(server.url)


def native_frames(stored: Dataset) -> list[bytes]:
    size = ROWS * COLUMNS * 2
    return [stored.PixelData[start : start + size] for start in range(0, COUNT * size, size)]


def test_an_instance_in_another_syntax(client: DICOMwebClient, stored: Dataset) -> None:
    for syntax in (JPEG_2000, RLE):
        found = client.retrieve_instance(*UIDS, media_types=(("application/dicom", syntax),))
        assert found.file_meta.TransferSyntaxUID == syntax
        assert (found.pixel_array == stored.pixel_array).all()
        (again,) = client.retrieve_study(UIDS[0], media_types=(("application/dicom", syntax),))
        assert again.PixelData == found.PixelData


def test_frames_as_stored(client: DICOMwebClient, stored: Dataset) -> None:
    expected = native_frames(stored)
    for numbers in ([3], [1, 2, 3, 4], [4, 1]):
        found = client.retrieve_instance_frames(*UIDS, numbers)
        assert found == [expected[number - 1] for number in numbers]


def test_frames_in_another_syntax(client: DICOMwebClient, stored: Dataset) -> None:
    description = {**samples.image(ROWS, COLUMNS, COUNT, 16), "BitsStored": 12, "HighBit": 11}
    for kind, syntax in (("image/jp2", JPEG_2000), ("image/jls", JPEG_LS)):
        frames = client.retrieve_instance_frames(*UIDS, [1, 2, 3, 4], media_types=((kind, syntax),))
        made = samples.encapsulated(
            [[frame] for frame in frames],
            transfer_syntax_uid=syntax,
            **description,  # type: ignore[arg-type]
        )
        assert (dcmread(io.BytesIO(made)).pixel_array == stored.pixel_array).all()


def test_bulk_data_and_a_zip_archive(
    server: Server, client: DICOMwebClient, stored: Dataset
) -> None:
    for name in ("bulkdata", "pixeldata"):
        (values,) = client.retrieve_bulkdata(f"{server.url}/studies/{UIDS[0]}/{name}")
        assert values == stored.PixelData
    url = f"{server.url}/studies/{UIDS[0]}?accept=application/zip&dicomdir=true"
    response = requests.get(url, timeout=60)
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["DICOM/SE000001/IM000001", "DICOMDIR"]
        found = dcmread(io.BytesIO(archive.read("DICOM/SE000001/IM000001")))
    assert found.PixelData == stored.PixelData


@pytest.mark.usefixtures("stored")
def test_head_tells_the_same(server: Server) -> None:
    instance = f"{server.url}/studies/{UIDS[0]}/series/{UIDS[1]}/instances/{UIDS[2]}"
    for path, accept in (
        ("", "application/dicom"),
        ("/frames/2", "application/octet-stream"),
        ("/frames/2", "multipart/related; type=application/octet-stream; transfer-syntax=*"),
        ("/frames/2", "image/jp2"),
        ("/bulkdata/7FE00010", "application/octet-stream"),
    ):
        headers = {"Accept": accept}
        got = requests.get(instance + path, headers=headers, timeout=60)
        head = requests.head(instance + path, headers=headers, timeout=60)
        assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
        for name in ("Content-Length", "ETag"):
            assert head.headers[name] == got.headers[name]
        assert int(got.headers["Content-Length"]) == len(got.content)
