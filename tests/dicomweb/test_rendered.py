"""Retrieving rendered resources through HTTP."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from tests import reports, samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem, split

STUDY = "/studies/1.1"
SERIES = f"{STUDY}/series/1.2"
INSTANCE = f"{SERIES}/instances/1.3"
UIDS: dict[str, Any] = {
    "StudyInstanceUID": "1.1",
    "SeriesInstanceUID": "1.2",
    "SOPInstanceUID": "1.3",
}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
IMG_TAG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


def picture(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


@pytest.fixture
def one(keep: Keep) -> None:
    keep(samples.ct(study_instance_uid="1.1", series_instance_uid="1.2", sop_instance_uid="1.3"))


@pytest.fixture
def film(keep: Keep) -> None:
    keep(samples.multiframe(4, rows=8, columns=6, WindowCenter="3", WindowWidth="6", **UIDS))


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "image/jpeg"),
        ("*/*", "image/jpeg"),
        (BROWSER, "image/jpeg"),
        (IMG_TAG, "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/gif", "image/gif"),
        ("image/jpeg;q=0.5, image/png", "image/png"),
        ("text/html, image/gif, */*; q=.2", "image/gif"),
    ],
)
def test_an_image_in_an_accepted_type(client: FlaskClient, accept: str, kind: str) -> None:
    for path in (INSTANCE, SERIES, STUDY, f"{INSTANCE}/frames/1"):
        response = client.get(f"{ROOT}{path}/rendered", headers={"Accept": accept})
        assert (response.status_code, response.content_type) == (200, kind), response.text
        assert picture(response.data).size == (512, 512)


@pytest.mark.usefixtures("one")
def test_the_accept_parameter_wins(client: FlaskClient) -> None:
    url = f"{ROOT}{STUDY}/rendered?accept=image%2Fpng"
    assert client.get(url, headers={"Accept": "*/*"}).mimetype == "image/png"
    assert client.get(url, headers={"Accept": "video/mp4"}).mimetype == "image/png"


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("accept", ["video/mp4", "application/pdf", "image/tiff", "image/jpeg;q=0"])
def test_what_is_not_available_is_refused_with_what_is(client: FlaskClient, accept: str) -> None:
    response = client.get(f"{ROOT}{INSTANCE}/rendered", headers={"Accept": accept})
    detail = problem(response, 406)
    assert "image/jpeg" in detail
    assert "image/png" in detail


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("viewport=128,128", (128, 128)),
        ("viewport=256%2C256", (256, 256)),
        ("viewport=100,50", (50, 50)),
        ("viewport=64,64,0,0,256,128", (64, 32)),
        ("viewport=64,64,,,-256,128", (64, 32)),
    ],
)
def test_viewport(client: FlaskClient, query: str, size: tuple[int, int]) -> None:
    response = client.get(f"{ROOT}{INSTANCE}/rendered?{query}", headers={"Accept": "image/png"})
    assert picture(response.data).size == size


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(
    "query",
    [
        "viewport=0,10",
        "viewport=a,b",
        "viewport=1",
        "viewport=100000,100000",
        "viewport=10,10,9999,9999,10,10",
        "viewport=NaN,10",
        "window=NaN,100",
        "window=40,inf",
        "window=40,0",
        "window=40",
        "window=40,400,cubic",
        "quality=0",
        "quality=101",
        "quality=x",
        "annotation=everything",
        "iccprofile=maybe",
    ],
)
def test_parameters_that_mean_nothing(client: FlaskClient, query: str) -> None:
    problem(client.get(f"{ROOT}{INSTANCE}/rendered?{query}"), 400)


@pytest.mark.usefixtures("one")
def test_window_quality_and_annotation_change_the_image(client: FlaskClient) -> None:
    url = f"{ROOT}{INSTANCE}/rendered"
    plain = client.get(url).data
    bodies = {
        query: client.get(f"{url}?{query}").data
        for query in ("window=100,20,linear", "quality=20", "annotation=patient,technique")
    }
    assert len({plain, *bodies.values()}) == 4
    assert len(bodies["quality=20"]) < len(plain)
    unknown = client.get(f"{url}?unknown=parameter")
    assert unknown.data == plain


@pytest.mark.usefixtures("one")
def test_an_entity_tag_for_each_rendering(client: FlaskClient) -> None:
    url = f"{ROOT}{INSTANCE}/rendered"
    etag = client.get(url).headers["ETag"]
    again = client.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    for other in ("viewport=64,64", "accept=image/png", "window=1,2"):
        response = client.get(f"{url}?{other}", headers={"If-None-Match": etag})
        assert response.status_code == 200


@pytest.mark.usefixtures("one")
def test_head(client: FlaskClient) -> None:
    response = client.head(f"{ROOT}{INSTANCE}/rendered")
    assert (response.status_code, response.data, response.mimetype) == (200, b"", "image/jpeg")


@pytest.mark.parametrize(
    "path",
    [
        "/studies/9.9/rendered",
        f"{STUDY}/series/9.9/rendered",
        f"{SERIES}/instances/9.9/rendered",
        f"{INSTANCE}/frames/2/rendered",
        f"{INSTANCE}/frames/99999999999/rendered",
        "/studies/..%2f..%2fetc/rendered",
        "/studies/9.9/thumbnail",
    ],
)
@pytest.mark.usefixtures("one")
def test_what_is_not_there(client: FlaskClient, path: str) -> None:
    assert client.get(ROOT + path).status_code in {400, 404}


@pytest.mark.usefixtures("film")
def test_several_frames(client: FlaskClient) -> None:
    accept = 'multipart/related; type="image/png"'
    parts = get_parts(client, f"{INSTANCE}/rendered", accept)
    greys = [int(np.asarray(picture(part.data).convert("L")).mean()) for part in parts]
    assert greys == sorted(set(greys))
    assert len(greys) == 4
    for number, part in enumerate(parts, start=1):
        assert part.headers["content-type"] == "image/png"
        assert part.headers["content-location"].endswith(f"{INSTANCE}/frames/{number}/rendered")
    chosen = get_parts(client, f"{INSTANCE}/frames/3,1/rendered", accept)
    assert [part.data for part in chosen] == [parts[2].data, parts[0].data]


@pytest.mark.usefixtures("film")
def test_one_frame_stands_for_all(client: FlaskClient) -> None:
    first = client.get(f"{ROOT}{INSTANCE}/frames/1/rendered?accept=image/png")
    alone = client.get(f"{ROOT}{INSTANCE}/rendered?accept=image/png")
    assert alone.data == first.data


def test_the_representative_frame_stands_for_all(client: FlaskClient, keep: Keep) -> None:
    keep(
        samples.multiframe(
            4, RepresentativeFrameNumber=3, WindowCenter="3", WindowWidth="6", **UIDS
        )
    )
    third = client.get(f"{ROOT}{INSTANCE}/frames/3/rendered?accept=image/png")
    alone = client.get(f"{ROOT}{INSTANCE}/rendered?accept=image/png")
    assert alone.data == third.data


@pytest.mark.usefixtures("film")
@pytest.mark.parametrize(("path", "count"), [(INSTANCE, 4), (f"{INSTANCE}/frames/4,2", 2)])
def test_frames_as_an_animation(client: FlaskClient, path: str, count: int) -> None:
    response = client.get(f"{ROOT}{path}/rendered", headers={"Accept": "image/gif"})
    assert response.mimetype == "image/gif"
    assert getattr(picture(response.data), "n_frames", 1) == count
    film = client.get(f"{ROOT}{path}/rendered", headers={"Accept": "video/mp4"})
    assert film.mimetype == "video/mp4", film.text
    assert film.data[4:8] == b"ftyp"


@pytest.mark.usefixtures("film")
def test_several_frames_are_no_single_image(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}{INSTANCE}/frames/1,2/rendered?accept=image/jpeg")
    assert "multipart/related" in problem(response, 406)


@pytest.fixture
def mixed(keep: Keep) -> None:
    keep(
        *(
            samples.ct_at(
                "1.1",
                "1.2",
                f"1.3.{number}",
                rows=16 * number,
                columns=16,
                InstanceNumber=str(number),
            )
            for number in (1, 2, 3)
        ),
        reports.report(
            reports.item("TEXT", "Finding", TextValue="none"),
            StudyInstanceUID="1.1",
            SeriesInstanceUID="1.4",
            SOPInstanceUID="1.5",
        ),
        reports.document(
            b"%PDF-1.4\n%%EOF\n",
            StudyInstanceUID="1.1",
            SeriesInstanceUID="1.6",
            SOPInstanceUID="1.7",
        ),
        samples.small(StudyInstanceUID="1.1", SeriesInstanceUID="1.8", SOPInstanceUID="1.9"),
    )


@pytest.mark.usefixtures("mixed")
def test_everything_of_a_study(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}{STUDY}/rendered")
    assert response.status_code == 200
    parts = split(response.data, response.headers["Content-Type"])
    kinds = [part.headers["content-type"].partition(";")[0] for part in parts]
    assert sorted(kinds) == ["application/pdf", *["image/jpeg"] * 3, "text/html"]
    assert "1 of 6 instances" in response.headers["Warning"]
    assert b"Finding" in next(part.data for part in parts if b"<html" in part.data)


@pytest.mark.usefixtures("mixed")
def test_only_the_images_of_a_study(client: FlaskClient) -> None:
    accept = 'multipart/related; type="image/png"'
    parts = get_parts(client, f"{STUDY}/rendered", accept)
    assert [picture(part.data).height for part in parts] == [16, 32, 48]


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("accept", ["image/jpeg", IMG_TAG, BROWSER])
def test_one_image_for_a_study(client: FlaskClient, accept: str) -> None:
    for path in (STUDY, SERIES):
        response = client.get(f"{ROOT}{path}/rendered", headers={"Accept": accept})
        assert response.mimetype == "image/jpeg"
        assert picture(response.data).height == 32


@pytest.mark.usefixtures("mixed")
def test_what_no_instance_of_a_study_can_be(client: FlaskClient) -> None:
    detail = problem(client.get(f"{ROOT}{STUDY}/rendered?accept=video/mp4"), 406)
    for kind in ("image/jpeg", "text/html", "application/pdf"):
        assert kind in detail


@pytest.mark.usefixtures("mixed")
def test_an_instance_that_shows_nothing(client: FlaskClient) -> None:
    path = f"{STUDY}/series/1.8/instances/1.9"
    assert "application/dicom" in problem(client.get(f"{ROOT}{path}/rendered"), 406)


def test_what_can_not_be_decoded(client: FlaskClient, keep: Keep) -> None:
    private = "1.2.826.0.1.99.1"
    whole = {"study_instance_uid": "1.1", "series_instance_uid": "1.2"}
    keep(
        samples.encapsulated([[b"\1\2\3\4"]], transfer_syntax_uid=private, **UIDS),
        samples.ct(sop_instance_uid="1.4", rows=16, columns=16, **whole),
    )
    problem(client.get(f"{ROOT}{INSTANCE}/rendered"), 406)
    parts = get_parts(client, f"{STUDY}/rendered", 'multipart/related; type="image/jpeg"')
    assert len(parts) == 1
    assert client.get(f"{ROOT}{INSTANCE}/thumbnail").mimetype == "image/jpeg"
