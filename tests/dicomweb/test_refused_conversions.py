"""What proves impossible only when it is tried: a 406 that says what is there, never half an answer."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT, problem

JPEG_LS = "1.2.840.10008.1.2.4.80"
UIDS: dict[str, Any] = {
    "StudyInstanceUID": "1.1",
    "SeriesInstanceUID": "1.2",
    "SOPInstanceUID": "1.3",
}
INSTANCE = "/studies/1.1/series/1.2/instances/1.3"
BROKEN = samples.encapsulated([[b"\xff\xd8\1\2\3\4"]], **UIDS)


@pytest.mark.parametrize("path", [INSTANCE, "/studies/1.1"])
@pytest.mark.parametrize("frames", [1, 5])
def test_bits_have_no_jpeg_ls(client: FlaskClient, keep: Keep, path: str, frames: int) -> None:
    keep(samples.multiframe(frames, rows=16, columns=16, bits=1, **UIDS))
    keep(
        samples.multiframe(frames, rows=16, columns=16, bits=1, **{**UIDS, "SOPInstanceUID": "1.4"})
    )
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={JPEG_LS}'
    detail = problem(client.get(ROOT + path, headers={"Accept": accept}), 406)
    assert "1 bits" in detail
    assert f'type="application/dicom"; transfer-syntax={samples.EXPLICIT}' in detail
    zipped = f"application/zip; transfer-syntax={JPEG_LS}"
    assert samples.EXPLICIT in problem(client.get(ROOT + path, headers={"Accept": zipped}), 406)


def test_frames_say_in_what_they_are_stored(client: FlaskClient, keep: Keep) -> None:
    keep(samples.multiframe(2, rows=16, columns=16, bits=1, **UIDS))
    accept = f"image/jls; transfer-syntax={JPEG_LS}"
    detail = problem(client.get(f"{ROOT}{INSTANCE}/frames/1", headers={"Accept": accept}), 406)
    assert f"application/octet-stream; transfer-syntax={samples.EXPLICIT}" in detail
    keep(samples.encapsulated([[b"\xff\xd8\1\2\3\4"]], **{**UIDS, "SOPInstanceUID": "1.5"}))
    url = f"{ROOT}{INSTANCE.replace('1.3', '1.5')}/frames/1"
    detail = problem(client.get(url, headers={"Accept": "application/octet-stream"}), 406)
    assert f"image/jpeg; transfer-syntax={samples.JPEG_BASELINE}" in detail
    stored = client.get(url, headers={"Accept": "image/jpeg"})
    assert stored.data == b"\xff\xd8\1\2\3\4"


def test_no_picture_but_the_object(client: FlaskClient, keep: Keep) -> None:
    keep(BROKEN)
    for path in ("/rendered", "/frames/1/rendered"):
        response = client.get(f"{ROOT}{INSTANCE}{path}", headers={"Accept": "image/png"})
        expected = f"available: application/dicom; transfer-syntax={samples.JPEG_BASELINE}"
        assert expected in problem(response, 406)


def test_the_uri_service_gives_what_can_not_be_decoded_as_stored(
    client: FlaskClient, keep: Keep
) -> None:
    keep(BROKEN)
    query = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.2", "objectUID": "1.3"}
    whole = {**query, "contentType": "application/dicom"}
    response = client.get(f"{ROOT}/wado", query_string=whole)
    assert response.data == BROKEN
    assert response.content_type == f"application/dicom; transfer-syntax={samples.JPEG_BASELINE}"
    asked = {**whole, "transferSyntax": samples.EXPLICIT}
    problem(client.get(f"{ROOT}/wado", query_string=asked), 406)
