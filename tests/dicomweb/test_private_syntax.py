"""Objects in a private transfer syntax through HTTP: as stored, or not at all."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem
from vna.dicom.part10 import file_meta

GE_PRIVATE = "1.2.840.113619.5.2"
PATH = "/studies/1.2/series/1.2.3/instances/1.2.3.9"
PIXELS = bytes(range(32))


@pytest.fixture(params=[samples.IMPLICIT, samples.EXPLICIT, samples.DEFLATED])
def stored(request: pytest.FixtureRequest, keep: Keep) -> bytes:
    """A file labelled with GE's private syntax (pixel data in big endian), however it is written."""
    elements = samples.identity(
        SOPClassUID=samples.CT_IMAGE,
        SOPInstanceUID="1.2.3.9",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        PatientComments="word " * 400,
    )
    elements |= samples.image(bits=16) | {"PixelData": samples.Typed("OW", PIXELS)}
    data = file_meta(samples.CT_IMAGE, "1.2.3.9", GE_PRIVATE)
    data += samples.dataset(elements, request.param)
    keep(data)
    return data


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="application/dicom"',
        "multipart/related; type=application/dicom; transfer-syntax=*",
        f"multipart/related; type=application/dicom; transfer-syntax={GE_PRIVATE}",
    ],
)
def test_the_file_comes_back_bit_for_bit(client: FlaskClient, stored: bytes, accept: str) -> None:
    (part,) = get_parts(client, PATH, accept)
    assert part.data == stored
    assert part.headers["content-type"].endswith(f"transfer-syntax={GE_PRIVATE}")


@pytest.mark.parametrize("syntax", [samples.EXPLICIT, samples.IMPLICIT])
@pytest.mark.parametrize("kind", ["multipart/related; type=application/dicom", "application/dicom"])
def test_no_conversion_is_offered(
    client: FlaskClient, stored: bytes, syntax: str, kind: str
) -> None:
    accept = f"{kind}; transfer-syntax={syntax}"
    answer = client.get(ROOT + PATH, headers={"Accept": accept})
    assert GE_PRIVATE in problem(answer, 406)


def test_metadata_is_whole(client: FlaskClient, stored: bytes) -> None:
    answer = client.get(f"{ROOT}{PATH}/metadata")
    (found,) = answer.get_json()
    assert found["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert found["00104000"]["Value"] == [("word " * 400).rstrip()]
    assert found["00280010"]["Value"] == [4]
    assert "7FE00010" in found


def test_pixel_data_never_pass_for_little_endian(client: FlaskClient, stored: bytes) -> None:
    answer = client.get(f"{ROOT}{PATH}/bulkdata/7FE00010")
    assert "as stored" in problem(answer, 406) or "fetch the instance" in problem(answer, 406)
    frame = client.get(f"{ROOT}{PATH}/frames/1", headers={"Accept": "multipart/related"})
    if stored.endswith(PIXELS):
        assert f"transfer-syntax={GE_PRIVATE}".encode() in frame.data
    else:
        assert "no frames" in problem(frame, 404)
