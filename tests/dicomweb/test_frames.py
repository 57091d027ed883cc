"""Retrieving frames through HTTP."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from pydicom import dcmread

from tests import samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem, split

INSTANCE = "/studies/1.1/series/1.2/instances/1.3"
UIDS = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPInstanceUID": "1.3"}
ANY = "multipart/related; type=application/octet-stream; transfer-syntax=*"
FRAMES = [[b"\xff\xd8" + bytes([n]) * 20 + b"\xff\xd9"] for n in range(1, 6)]


@pytest.fixture
def compressed(keep: Keep) -> None:
    keep(samples.encapsulated(FRAMES, **UIDS))  # type: ignore[arg-type]


@pytest.mark.usefixtures("compressed")
@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("1", [1]),
        ("1,3,5", [1, 3, 5]),
        ("1%2C3%2C5", [1, 3, 5]),
        ("5,1", [5, 1]),
        ("2,2", [2, 2]),
        ("1,2,3,4,5", [1, 2, 3, 4, 5]),
    ],
)
def test_frames_in_the_stored_syntax(
    client: FlaskClient, numbers: str, expected: list[int]
) -> None:
    parts = get_parts(client, f"{INSTANCE}/frames/{numbers}", ANY)
    assert [part.data for part in parts] == [FRAMES[n - 1][0] for n in expected]
    for part, number in zip(parts, expected, strict=True):
        assert part.headers == {
            "content-type": f"image/jpeg; transfer-syntax={samples.JPEG_BASELINE}",
            "content-location": f"http://localhost{ROOT}{INSTANCE}/frames/{number}",
        }


@pytest.mark.usefixtures("compressed")
def test_a_single_frame_as_a_single_part(client: FlaskClient) -> None:
    url = f"{ROOT}{INSTANCE}/frames/2"
    for accept in ("image/jpeg", "application/octet-stream; transfer-syntax=*"):
        response = client.get(url, headers={"Accept": accept})
        assert response.data == FRAMES[1][0]
        assert response.content_type == (f"image/jpeg; transfer-syntax={samples.JPEG_BASELINE}")
        assert response.content_length == len(FRAMES[1][0])


@pytest.mark.usefixtures("compressed")
def test_several_frames_are_no_single_part(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}{INSTANCE}/frames/1,2", headers={"Accept": "image/jpeg"})
    assert "multipart/related" in problem(response, 406)


@pytest.mark.usefixtures("compressed")
def test_another_syntax_is_refused_by_name(client: FlaskClient) -> None:
    accept = 'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80'
    response = client.get(f"{ROOT}{INSTANCE}/frames/1", headers={"Accept": accept})
    assert samples.JPEG_BASELINE in problem(response, 406)


@pytest.mark.usefixtures("compressed")
@pytest.mark.parametrize(
    "numbers", ["0", "-1", "1,", ",1", "1,,2", "a", "1-3", "1 ", "01", "1.0", "%00"]
)
def test_lists_that_are_none(client: FlaskClient, numbers: str) -> None:
    assert "1,3,5" in problem(client.get(f"{ROOT}{INSTANCE}/frames/{numbers}"), 400)


@pytest.mark.usefixtures("compressed")
@pytest.mark.parametrize("numbers", ["6", "1,6", "9999999999"])
def test_frames_out_of_range(client: FlaskClient, numbers: str) -> None:
    assert "5 frames" in problem(client.get(f"{ROOT}{INSTANCE}/frames/{numbers}"), 404)


def test_frames_of_nothing(client: FlaskClient, keep: Keep) -> None:
    problem(client.get(f"{ROOT}{INSTANCE}/frames/1"), 404)
    keep(samples.small(**UIDS))
    problem(client.get(f"{ROOT}{INSTANCE}/frames/1"), 404)


@pytest.mark.usefixtures("compressed")
def test_an_unchanged_frame_is_not_sent_again(client: FlaskClient) -> None:
    url = f"{ROOT}{INSTANCE}/frames/3"
    etag = client.get(url, headers={"Accept": ANY}).headers["ETag"]
    response = client.get(url, headers={"Accept": ANY, "If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")
    other = client.get(f"{ROOT}{INSTANCE}/frames/4", headers={"If-None-Match": etag})
    assert other.status_code == 200


@pytest.mark.usefixtures("compressed")
def test_head_of_frames(client: FlaskClient) -> None:
    response = client.head(f"{ROOT}{INSTANCE}/frames/1", headers={"Accept": ANY})
    assert (response.status_code, response.data) == (200, b"")


@pytest.mark.parametrize(
    "syntax", [samples.EXPLICIT, samples.IMPLICIT, samples.BIG_ENDIAN, samples.DEFLATED]
)
def test_native_frames_are_explicit_little_endian(
    client: FlaskClient, keep: Keep, syntax: str
) -> None:
    keep(samples.multiframe(3, bits=16, transfer_syntax_uid=syntax, **UIDS))  # type: ignore[arg-type]
    parts = get_parts(client, f"{INSTANCE}/frames/3,1", ANY)
    assert [part.data for part in parts] == [bytes([n]) * 32 for n in (3, 1)]
    for part in parts:
        assert part.headers["content-type"] == (
            f"application/octet-stream; transfer-syntax={samples.EXPLICIT}"
        )


FILES = {
    "MR_small_bigendian.dcm": "application/octet-stream",
    "MR_small_RLE.dcm": "image/dicom-rle",
    "SC_rgb_rle_32bit.dcm": "application/octet-stream",
    "MR_small_jp2klossless.dcm": "image/jp2",
    "MR_small_jpeg_ls_lossless.dcm": "image/jls",
    "image_dfl.dcm": "application/octet-stream",
}


@pytest.mark.parametrize("name", FILES)
def test_frames_of_real_files(client: FlaskClient, keep: Keep, name: str) -> None:
    path = next((path for path in samples.pydicom_files() if path.name == name), None)
    assert path is not None, f"{name} is not among pydicom's files"
    keep(path.read_bytes())
    real = dcmread(path)
    url = (
        f"{ROOT}/studies/{real.StudyInstanceUID}/series/{real.SeriesInstanceUID}"
        f"/instances/{real.SOPInstanceUID}/frames/1"
    )
    response = client.get(url, headers={"Accept": 'multipart/related; type="*/*"'})
    assert response.status_code == 200, response.text
    (part,) = split(response.data, response.headers["Content-Type"])
    kind, _, syntax = part.headers["content-type"].partition("; transfer-syntax=")
    assert kind == FILES[name]
    if kind == "application/octet-stream":
        assert syntax == samples.EXPLICIT
        pixels = real.pixel_array
        little = pixels.astype(pixels.dtype.newbyteorder("<"))
        if real.SamplesPerPixel > 1 and real.PlanarConfiguration == 1:
            little = little.transpose(2, 0, 1)
        assert part.data == little.tobytes()[: len(part.data)]
        assert len(part.data) >= real.Rows * real.Columns
    else:
        assert syntax == real.file_meta.TransferSyntaxUID
