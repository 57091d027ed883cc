"""All bulk data, and all pixel data, of studies, series and instances."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem
from tests.samples import Typed

STUDY = "/studies/1.1"
ANY = "multipart/related"
OCTETS = "multipart/related; type=application/octet-stream"
FRAMES = [[b"\xff\xd8" + bytes([n]) * 20 + b"\xff\xd9"] for n in (1, 2)]
DOCUMENT = bytes(range(256)) * 20


@pytest.fixture
def study(keep: Keep) -> None:
    """A native image with a document, compressed frames in another series, and a plain object."""
    keep(
        samples.multiframe(
            2,
            StudyInstanceUID="1.1",
            SeriesInstanceUID="1.2",
            SOPInstanceUID="1.3",
            EncapsulatedDocument=Typed("OB", DOCUMENT),
        ),
        samples.encapsulated(
            FRAMES, StudyInstanceUID="1.1", SeriesInstanceUID="1.4", SOPInstanceUID="1.5"
        ),
        samples.small(StudyInstanceUID="1.1", SeriesInstanceUID="1.6", SOPInstanceUID="1.7"),
    )


PIXELS = bytes([1]) * 16 + bytes([2]) * 16
IMAGE, JPEG = "/series/1.2/instances/1.3", "/series/1.4/instances/1.5"
DOCUMENT_PART = ("application/octet-stream", f"{IMAGE}/bulkdata/00420011", DOCUMENT)
PIXEL_PART = ("application/octet-stream", f"{IMAGE}/bulkdata/7FE00010", PIXELS)
JPEG_PARTS = [
    (f"image/jpeg; transfer-syntax={samples.JPEG_BASELINE}", f"{JPEG}/frames/{n}", FRAMES[n - 1][0])
    for n in (1, 2)
]


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/bulkdata", [DOCUMENT_PART, PIXEL_PART, *JPEG_PARTS]),
        ("/pixeldata", [PIXEL_PART, *JPEG_PARTS]),
        ("/series/1.2/bulkdata", [DOCUMENT_PART, PIXEL_PART]),
        ("/series/1.2/pixeldata", [PIXEL_PART]),
        (f"{JPEG}/bulkdata", JPEG_PARTS),
        (f"{JPEG}/pixeldata", JPEG_PARTS),
        (f"{IMAGE}/bulkdata", [DOCUMENT_PART, PIXEL_PART]),
        (IMAGE, [DOCUMENT_PART, PIXEL_PART]),
        ("/series/1.2", [DOCUMENT_PART, PIXEL_PART]),
    ],
)
def test_at_every_level(
    client: FlaskClient, path: str, expected: list[tuple[str, str, bytes]]
) -> None:
    parts = get_parts(client, STUDY + path, ANY if path.endswith("data") else OCTETS)
    found = [
        (
            part.headers["content-type"],
            part.headers["content-location"].partition(f"{ROOT}{STUDY}")[2],
            part.data,
        )
        for part in parts
    ]
    assert sorted(found) == sorted(expected)


@pytest.mark.usefixtures("study")
def test_the_type_of_all_parts_is_announced(client: FlaskClient) -> None:
    for path, kind in (
        (f"{JPEG}/pixeldata", "image/jpeg"),
        ("/pixeldata", "application/octet-stream"),
    ):
        response = client.get(ROOT + STUDY + path, headers={"Accept": ANY})
        assert f'type="{kind}"' in response.headers["Content-Type"]


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", ["/pixeldata", "/bulkdata"])
def test_there_may_be_none(client: FlaskClient, path: str) -> None:
    url = f"{ROOT}{STUDY}/series/1.6{path}"
    assert "none" in problem(client.get(url), 404)
    problem(client.get(f"{ROOT}/studies/9.9{path}"), 404)


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", ["/bulkdata", "/pixeldata", f"{JPEG}/pixeldata"])
def test_what_is_unchanged_is_not_read_again(
    archive: Archive, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    url = f"{ROOT}/studies/1.1{path}"
    accept = {"Accept": "multipart/related"}
    tag = client.get(url, headers=accept).headers["ETag"]
    other = client.get(f"{ROOT}/studies/1.1/series/1.2/bulkdata", headers=accept)
    assert other.headers["ETag"] != tag
    monkeypatch.setattr(archive.backend, "open", None)
    response = client.get(url, headers={**accept, "If-None-Match": tag})
    assert (response.status_code, response.data) == (304, b"")


@pytest.mark.usefixtures("study")
def test_what_can_not_be_decoded_is_there_as_stored(client: FlaskClient) -> None:
    asked = {"Accept": 'multipart/related; type="application/octet-stream"'}
    response = client.get(f"{ROOT}/studies/1.1{JPEG}/pixeldata", headers=asked)
    expected = f'type="image/jpeg"; transfer-syntax={samples.JPEG_BASELINE}'
    assert expected in problem(response, 406)


@pytest.mark.usefixtures("study")
def test_no_single_part(client: FlaskClient) -> None:
    url = f"{ROOT}{STUDY}{IMAGE}/pixeldata"
    refused = client.get(url, headers={"Accept": "application/octet-stream"})
    assert "multipart/related" in problem(refused, 406)


def test_decompressed_when_bytes_are_asked_for(client: FlaskClient, keep: Keep) -> None:
    """Bare application/octet-stream means explicit little endian (PS3.18 8.7.3.3)."""
    path = next(path for path in samples.pydicom_files() if path.name == "MR_small_RLE.dcm")
    keep(path.read_bytes())
    from pydicom import dcmread

    real = dcmread(path)
    url = f"/studies/{real.StudyInstanceUID}/pixeldata"
    (part,) = get_parts(client, url, OCTETS)
    assert part.headers["content-type"].endswith(samples.EXPLICIT)
    assert part.data == real.pixel_array.astype("<i2").tobytes()
    (stored,) = get_parts(client, url, f"{OCTETS}; transfer-syntax=*")
    assert stored.headers["content-type"] == f"image/dicom-rle; transfer-syntax={samples.RLE}"
    (other,) = get_parts(client, url, "multipart/related; type=image/jp2")
    assert other.headers["content-type"].endswith("1.2.840.10008.1.2.4.90")


def test_a_private_syntax_gives_no_pixels(client: FlaskClient, keep: Keep) -> None:
    uids = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPInstanceUID": "1.3"}
    data = samples.multiframe(1, transfer_syntax_uid=samples.EXPLICIT, **uids)  # type: ignore[arg-type]
    keep(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.99 "[:20]))
    url = f"{ROOT}/studies/1.1/pixeldata"
    problem(client.get(url, headers={"Accept": ANY}), 404)


@pytest.mark.usefixtures("study")
def test_head_reads_nothing_to_its_end(client: FlaskClient) -> None:
    response = client.head(f"{ROOT}{STUDY}/bulkdata", headers={"Accept": ANY})
    assert (response.status_code, response.data) == (200, b"")


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ('multipart/related; type="video/mp4"', "video/mp4"),
        (f"multipart/related; type=video/mp4; transfer-syntax={samples.MPEG4}", "video/mp4"),
        ("*/*", "video/mp4"),
    ],
)
@pytest.mark.parametrize("name", ["bulkdata", "pixeldata"])
def test_a_video_is_a_part_of_its_own_type(
    client: FlaskClient, keep: Keep, name: str, asked: str, kind: str
) -> None:
    film = samples.encapsulated(
        [[b"film" * 64]],
        transfer_syntax_uid=samples.MPEG4,
        table=b"",
        StudyInstanceUID="1.8",
        SeriesInstanceUID="1.8.1",
        SOPInstanceUID="1.8.2",
    )
    keep(film)
    (part,) = get_parts(client, f"/studies/1.8/{name}", asked)
    assert (part.headers["content-type"], part.data) == (kind, b"film" * 64)
