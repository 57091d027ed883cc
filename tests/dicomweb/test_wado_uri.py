"""The URI service through HTTP."""

from __future__ import annotations

import base64
import io
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from pydicom import dcmread
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from tests import reports, samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem, split
from tests.dicomweb.test_rendered import picture
from vna.config import WebConfig

OBJECT = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.2", "objectUID": "1.3"}
UIDS: dict[str, Any] = {
    "StudyInstanceUID": "1.1",
    "SeriesInstanceUID": "1.2",
    "SOPInstanceUID": "1.3",
}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def ask(client: FlaskClient, accept: str = "", **parameters: object) -> TestResponse:
    query = urlencode({**OBJECT, **parameters})
    return client.get(f"{ROOT}/wado?{query}", headers={"Accept": accept})


def grey(response: TestResponse) -> NDArray[np.uint8]:
    assert response.status_code == 200, response.text
    return np.asarray(picture(response.data).convert("L"))


def gradient(rows: int = 32, columns: int = 64, **overrides: Any) -> bytes:
    """An image of 16 bits whose value is 10 times the column, plus 1000 times the row."""
    values = np.arange(columns) * 10 + np.arange(rows)[:, None] * 1000
    image = {**samples.image(rows, columns, bits=16), **UIDS, **overrides}
    del image["NumberOfFrames"]
    pixels = samples.Typed("OW", values.astype("<u2").tobytes())
    elements = {**samples.identity(SOPClassUID=samples.CT_IMAGE), **image, "PixelData": pixels}
    return samples.part10(elements)


@pytest.fixture
def image(keep: Keep) -> None:
    keep(gradient(WindowCenter="16000", WindowWidth="32000"))


@pytest.fixture
def film(keep: Keep) -> None:
    keep(samples.multiframe(4, rows=8, columns=6, WindowCenter="3", WindowWidth="6", **UIDS))


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("path", [f"{ROOT}/wado", "/wado"])
@pytest.mark.parametrize("accept", ["", "*/*", BROWSER, "image/*"])
def test_an_image_is_a_jpeg(client: FlaskClient, path: str, accept: str) -> None:
    response = client.get(path, query_string=OBJECT, headers={"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, "image/jpeg"), response.text
    assert picture(response.data).size == (64, 32)


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ("image/png", "image/png"),
        ("image/gif,image/png;q=0.9", "image/gif"),
        ("image/gif;q=0.2, image/png", "image/png"),
        ("image/jp2, image/jpeg", "image/jpeg"),
        ("application/dicom", "application/dicom"),
    ],
)
def test_the_content_type(client: FlaskClient, wanted: str, kind: str) -> None:
    response = ask(client, accept="image/jpeg", contentType=wanted)
    assert response.mimetype == kind, response.text


@pytest.mark.usefixtures("image")
def test_a_content_type_that_is_not_there(client: FlaskClient) -> None:
    detail = problem(ask(client, contentType="application/pdf"), 406)
    assert "image/jpeg" in detail
    assert "application/dicom" in detail


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("missing", ["requestType", "studyUID", "seriesUID", "objectUID"])
def test_what_has_to_be_there(client: FlaskClient, missing: str) -> None:
    query = {name: value for name, value in OBJECT.items() if name != missing}
    assert missing in problem(client.get(f"{ROOT}/wado", query_string=query), 400)


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"requestType": "wadl"}, 400),
        ({"objectUID": "9.9"}, 404),
        ({"seriesUID": "9.9"}, 404),
        ({"studyUID": "9.9"}, 404),
        ({"objectUID": "../../etc/passwd"}, 404),
        ({"rows": "0"}, 400),
        ({"rows": "-5"}, 400),
        ({"columns": "many"}, 400),
        ({"rows": "100000", "columns": "100000"}, 400),
        ({"region": "0,0,1"}, 400),
        ({"region": "0.5,0.5,0.5,0.9"}, 400),
        ({"region": "0,0,2,2"}, 400),
        ({"windowCenter": "40"}, 400),
        ({"windowWidth": "40"}, 400),
        ({"windowCenter": "NaN", "windowWidth": "10"}, 400),
        ({"windowCenter": "4,5", "windowWidth": "10"}, 400),
        ({"frameNumber": "0"}, 400),
        ({"frameNumber": "2"}, 404),
        ({"frameNumber": "1", "contentType": "application/dicom"}, 406),
        ({"imageQuality": "0"}, 400),
        ({"imageQuality": "101"}, 400),
        ({"annotation": "all"}, 400),
        ({"anonymize": "maybe"}, 400),
        ({"anonymize": "yes", "contentType": "image/jpeg"}, 400),
        ({"presentationUID": "1.5"}, 400),
        ({"presentationSeriesUID": "1.5"}, 400),
        ({"presentationUID": "1.5", "presentationSeriesUID": "1.4"}, 404),
        ({"transferSyntax": "1.2.3", "contentType": "application/dicom"}, 406),
    ],
)
def test_refusals(client: FlaskClient, parameters: dict[str, str], status: int) -> None:
    problem(ask(client, **parameters), status)


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        ({"rows": 16}, (32, 16)),
        ({"columns": 128}, (128, 64)),
        ({"rows": 16, "columns": 16}, (16, 8)),
        ({"region": "0.25,0,0.5,1"}, (16, 32)),
        ({"region": "0,0.5,1,1", "columns": 32}, (32, 8)),
    ],
)
def test_size_and_region(
    client: FlaskClient, parameters: dict[str, Any], size: tuple[int, int]
) -> None:
    assert picture(ask(client, contentType="image/png", **parameters).data).size == size


@pytest.mark.usefixtures("image")
def test_window_quality_and_annotation(client: FlaskClient) -> None:
    plain = ask(client).data
    for changed in (
        {"windowCenter": "100", "windowWidth": "50"},
        {"imageQuality": "5"},
        {"annotation": "patient,technique"},
    ):
        assert ask(client, **changed).data != plain
    dark = grey(ask(client, contentType="image/png", windowCenter="60000", windowWidth="10"))
    assert dark.max() == 0


@pytest.mark.usefixtures("film")
def test_several_frames(client: FlaskClient) -> None:
    assert ask(client).mimetype == "application/dicom"
    assert ask(client, accept="image/*,*/*;q=0.8").mimetype == "image/jpeg"
    assert ask(client, rows=4).mimetype == "image/jpeg"
    second = ask(client, frameNumber=2)
    assert second.mimetype == "image/jpeg"
    third = ask(client, frameNumber=3, contentType="image/png")
    assert grey(third).mean() > grey(second).mean()
    assert getattr(picture(ask(client, contentType="image/gif").data), "n_frames", 1) == 4
    assert (
        getattr(picture(ask(client, contentType="image/gif", frameNumber=1).data), "n_frames", 1)
        == 1
    )


@pytest.mark.parametrize(
    ("stored", "parameters", "expected"),
    [
        (samples.EXPLICIT, {}, samples.EXPLICIT),
        (samples.IMPLICIT, {}, samples.EXPLICIT),
        (samples.BIG_ENDIAN, {}, samples.EXPLICIT),
        (samples.DEFLATED, {}, samples.EXPLICIT),
        (samples.IMPLICIT, {"transferSyntax": "*"}, samples.IMPLICIT),
        (samples.EXPLICIT, {"transferSyntax": samples.DEFLATED}, samples.DEFLATED),
        (samples.EXPLICIT, {"transferSyntax": f"1.2.3,{samples.EXPLICIT}"}, samples.EXPLICIT),
    ],
)
def test_an_object(
    client: FlaskClient, keep: Keep, stored: str, parameters: dict[str, str], expected: str
) -> None:
    keep(samples.ct_at("1.1", "1.2", "1.3", rows=16, columns=16, transfer_syntax_uid=stored))
    response = ask(client, contentType="application/dicom", **parameters)
    assert response.content_type == f"application/dicom; transfer-syntax={expected}"
    found = dcmread(io.BytesIO(response.data))
    assert found.file_meta.TransferSyntaxUID == expected
    assert found.SOPInstanceUID == "1.3"
    etag = response.headers["ETag"]
    query = urlencode({**OBJECT, "contentType": "application/dicom", **parameters})
    again = client.get(f"{ROOT}/wado?{query}", headers={"If-None-Match": etag})
    assert again.status_code == 304


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("syntax", [samples.IMPLICIT, samples.BIG_ENDIAN])
def test_what_is_never_given(client: FlaskClient, syntax: str) -> None:
    response = ask(client, contentType="application/dicom", transferSyntax=syntax)
    assert samples.EXPLICIT in problem(response, 406)


def test_what_can_not_be_decoded_is_given_as_stored(client: FlaskClient, keep: Keep) -> None:
    keep(samples.encapsulated([[b"\1\2\3\4"]], transfer_syntax_uid="1.2.826.0.1.99.1", **UIDS))
    response = ask(client, contentType="application/dicom")
    assert response.content_type == "application/dicom; transfer-syntax=1.2.826.0.1.99.1"


def test_a_report(client: FlaskClient, keep: Keep) -> None:
    keep(reports.report(reports.item("TEXT", "Finding", TextValue="none"), **UIDS))
    assert ask(client).content_type == "text/html; charset=utf-8"
    assert ask(client, contentType="text/plain", charset="us-ascii").content_type == (
        "text/plain; charset=us-ascii"
    )
    assert ask(client, contentType="application/dicom").mimetype == "application/dicom"


def test_a_document_and_data(client: FlaskClient, keep: Keep) -> None:
    keep(
        reports.document(b"%PDF-1.4 %%EOF\n\n", **UIDS),
        samples.small(StudyInstanceUID="1.1", SeriesInstanceUID="1.2", SOPInstanceUID="1.4"),
    )
    assert ask(client).mimetype == "application/pdf"
    assert ask(client, objectUID="1.4").mimetype == "application/dicom"


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("path", [f"{ROOT}/wado", "/wado"])
def test_it_is_for_users(archive: Archive, path: str) -> None:
    users = {"ann": generate_password_hash("secret", method="pbkdf2:sha256:1000")}
    client = archive.app(WebConfig(users=users)).test_client()
    assert client.get(path, query_string=OBJECT).status_code == 401
    token = base64.b64encode(b"ann:secret").decode()
    response = client.get(path, query_string=OBJECT, headers={"Authorization": f"Basic {token}"})
    assert response.status_code == 200


def window(center: float, width: float) -> dict[str, Any]:
    return {"SoftcopyVOILUTSequence": [{"WindowCenter": str(center), "WindowWidth": str(width)}]}


def area(left: int, top: int, right: int, bottom: int) -> dict[str, Any]:
    return {
        "DisplayedAreaSelectionSequence": [
            {
                "DisplayedAreaTopLeftHandCorner": [left, top],
                "DisplayedAreaBottomRightHandCorner": [right, bottom],
                "PresentationSizeMode": "SCALE TO FIT",
            }
        ]
    }


STATE = {"presentationSeriesUID": "1.4", "presentationUID": "1.5", "contentType": "image/png"}
PLACE: dict[str, Any] = {"SeriesInstanceUID": "1.4", "SOPInstanceUID": "1.5"}


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    ("overrides", "turned"),
    [
        ({}, lambda image: image),
        ({"ImageRotation": 90}, lambda image: np.rot90(image, -1)),
        ({"ImageRotation": 180}, lambda image: np.rot90(image, 2)),
        ({"ImageRotation": 270}, lambda image: np.rot90(image, 1)),
        ({"ImageHorizontalFlip": "Y"}, np.fliplr),
        (
            {"ImageRotation": 90, "ImageHorizontalFlip": "Y"},
            lambda image: np.fliplr(np.rot90(image, -1)),
        ),
        (
            {"ImageRotation": 270, "ImageHorizontalFlip": "Y"},
            lambda image: np.fliplr(np.rot90(image, 1)),
        ),
        (area(17, 5, 48, 20), lambda image: image[4:20, 16:48]),
        (
            {**area(17, 5, 48, 20), "ImageRotation": 90},
            lambda image: np.rot90(image[4:20, 16:48], -1),
        ),
        ({"PresentationLUTShape": "INVERSE"}, lambda image: 255 - image),
    ],
)
def test_a_presentation_state(
    client: FlaskClient, keep: Keep, overrides: dict[str, Any], turned: Any
) -> None:
    plain = grey(ask(client, contentType="image/png"))
    keep(reports.state("1.1", "1.2", "1.3", **PLACE, **{**window(16000, 32000), **overrides}))
    shown = grey(ask(client, **STATE))
    expected = turned(plain)
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).max() <= 1


def test_the_window_of_a_presentation_state(client: FlaskClient, keep: Keep) -> None:
    keep(
        gradient(WindowCenter="1", WindowWidth="2", RescaleSlope="7", RescaleIntercept="-5"),
        reports.state("1.1", "1.2", "1.3", **PLACE, **window(16000, 32000)),
    )
    shown = grey(ask(client, **STATE))
    explicit = ask(client, contentType="image/png", windowCenter="16000", windowWidth="32000")
    assert not np.array_equal(shown, grey(explicit))  # the state has no rescale: values stay
    keep(
        reports.state(
            "1.1",
            "1.2",
            "1.3",
            SeriesInstanceUID="1.4",
            SOPInstanceUID="1.6",
            RescaleSlope="7",
            RescaleIntercept="-5",
            **window(16000, 32000),
        )
    )
    rescaled = grey(ask(client, **{**STATE, "presentationUID": "1.6"}))
    assert np.array_equal(rescaled, grey(explicit))


@pytest.mark.usefixtures("image")
def test_only_one_image_of_a_presentation_state(client: FlaskClient, keep: Keep) -> None:
    keep(reports.state("1.1", "1.2", "9.9", **PLACE))
    assert "does not refer" in problem(ask(client, **STATE), 400)


@pytest.mark.usefixtures("image")
def test_what_of_a_presentation_state_is_not_drawn(client: FlaskClient, keep: Keep) -> None:
    units: Any = {"GraphicAnnotationUnits": "MATRIX", "GraphicData": [1.0, 1.0]}
    graphics: Any = [{"GraphicLayer": "A", "GraphicObjectSequence": [units]}]
    mask: Any = [{"MaskOperation": "AVG_SUB"}]
    keep(
        reports.state("1.1", "1.2", "1.3", **PLACE, GraphicAnnotationSequence=graphics),
        reports.state(
            "1.1",
            "1.2",
            "1.3",
            SeriesInstanceUID="1.4",
            SOPInstanceUID="1.6",
            MaskSubtractionSequence=mask,
        ),
    )
    response = ask(client, **STATE)
    assert response.status_code == 200
    assert "pixel matrix" in response.headers["Warning"]
    assert "mask" in problem(ask(client, **{**STATE, "presentationUID": "1.6"}), 406)
    problem(ask(client, **{**STATE, "presentationUID": "1.3", "presentationSeriesUID": "1.2"}), 406)
    problem(ask(client, windowCenter="1", windowWidth="2", **STATE), 400)


@pytest.mark.usefixtures("image")
def test_a_state_shows_its_images(client: FlaskClient, keep: Keep) -> None:
    keep(
        reports.state("1.1", "1.2", "1.3", **PLACE, **window(16000, 32000), ImageRotation=90),
        reports.state("1.1", "1.2", "9.9", SeriesInstanceUID="1.4", SOPInstanceUID="1.6"),
    )
    url = f"{ROOT}/studies/1.1/series/1.4/instances/1.5/rendered"
    response = client.get(url, headers={"Accept": "image/png"})
    assert response.data == ask(client, **STATE).data
    assert picture(response.data).size == (32, 64)
    assert picture(client.get(f"{url}?accept=image/png&viewport=16,16").data).size == (8, 16)
    parts = client.get(url, headers={"Accept": 'multipart/related; type="image/png"'})
    (part,) = split(parts.data, parts.headers["Content-Type"])
    assert part.data == response.data
    assert "no image" in problem(client.get(url.replace("1.5", "1.6")), 406)
    thumbnail = client.get(url.replace("rendered", "thumbnail"))
    assert thumbnail.mimetype == "image/jpeg"


@pytest.mark.usefixtures("image")
def test_what_a_state_draws(client: FlaskClient, keep: Keep) -> None:
    """White on the image, grey around it, in whatever way it is asked for, and told apart by entity tags."""
    disc: Any = {
        "GraphicAnnotationUnits": "PIXEL",
        "GraphicData": [32.0, 16.0, 36.0, 16.0],
        "GraphicType": "CIRCLE",
        "GraphicFilled": "Y",
    }
    shutter: Any = {
        "ShutterShape": "CIRCULAR",
        "CenterOfCircularShutter": ["16", "32"],
        "RadiusOfCircularShutter": "12",
        "ShutterPresentationValue": 0x4000,
    }
    graphics: Any = [{"GraphicLayer": "A", "GraphicObjectSequence": [disc]}]
    level = window(16000, 32000)
    keep(
        reports.state("1.1", "1.2", "1.3", **PLACE, **level),
        reports.state(
            "1.1",
            "1.2",
            "1.3",
            SeriesInstanceUID="1.4",
            SOPInstanceUID="1.6",
            GraphicAnnotationSequence=graphics,
            **shutter,
            **level,
        ),
    )
    plain, drawn = ask(client, **STATE), ask(client, **{**STATE, "presentationUID": "1.6"})
    assert "Warning" not in drawn.headers
    assert plain.headers["ETag"] != drawn.headers["ETag"]
    picture = grey(drawn)
    assert (picture[16, 32], picture[0, 0], picture[31, 63]) == (255, 0x40, 0x40)
    assert picture[10, 32] == grey(plain)[10, 32]
    url = f"{ROOT}/studies/1.1/series/1.4/instances/1.6/rendered"
    assert client.get(url, headers={"Accept": "image/png"}).data == drawn.data


def test_a_state_counts_more_than_functional_groups(client: FlaskClient, keep: Keep) -> None:
    voi: Any = {"FrameVOILUTSequence": [{"WindowCenter": "200", "WindowWidth": "2"}]}
    keep(
        samples.multiframe(3, SharedFunctionalGroupsSequence=[voi], **UIDS),
        reports.state("1.1", "1.2", "1.3", **PLACE, **window(2, 4)),
    )
    plain = grey(ask(client, contentType="image/png", frameNumber=2))
    shown = grey(ask(client, **STATE, frameNumber=2))
    asked: dict[str, Any] = {"windowCenter": "2", "windowWidth": "4", "frameNumber": 2}
    expected = grey(ask(client, contentType="image/png", **asked))
    assert plain.max() == 0
    assert np.array_equal(shown, expected)
    assert shown.max() > 0
