"""Retrieving thumbnails through HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests import reports, samples
from tests.dicomweb.conftest import Keep
from tests.dicomweb.multiparts import ROOT, problem
from tests.dicomweb.test_rendered import picture

STUDY = "/studies/1.1"
SERIES = f"{STUDY}/series/1.2"


def uids(series: str, instance: str) -> dict[str, Any]:
    return {
        "StudyInstanceUID": "1.1",
        "SeriesInstanceUID": series,
        "SOPInstanceUID": instance,
    }


@pytest.fixture(autouse=True)
def study(keep: Keep) -> None:
    keep(
        *(
            samples.ct_at(
                "1.1",
                "1.2",
                f"1.3.{number}",
                rows=64 * number,
                columns=64,
                InstanceNumber=str(number),
            )
            for number in (1, 2, 3)
        ),
        reports.report(reports.item("TEXT", "a", TextValue="b"), **uids("1.4", "1.5")),
        reports.document(b"%PDF-1.4\n%%EOF\n", **uids("1.6", "1.7")),
        samples.multiframe(5, rows=32, columns=32, **uids("1.8", "1.9")),
    )


@pytest.mark.parametrize("path", [STUDY, SERIES])
def test_the_middle_image_stands_for_all(client: FlaskClient, path: str) -> None:
    response = client.get(f"{ROOT}{path}/thumbnail")
    assert (response.status_code, response.mimetype) == (200, "image/jpeg")
    width, height = picture(response.data).size
    assert max(width, height) == 256
    if path == SERIES:
        assert (width, height) == (128, 256)


@pytest.mark.parametrize(
    ("query", "kind", "size"),
    [
        ("?viewport=64%2C64", "image/jpeg", (32, 64)),
        ("?viewport=64,64&accept=image%2Fpng", "image/png", (32, 64)),
        ("?accept=image/gif", "image/gif", (128, 256)),
    ],
)
def test_size_and_type(client: FlaskClient, query: str, kind: str, size: tuple[int, int]) -> None:
    response = client.get(f"{ROOT}{SERIES}/thumbnail{query}")
    assert response.mimetype == kind
    assert picture(response.data).size == size


def test_nothing_is_written_on_it(client: FlaskClient) -> None:
    url = f"{ROOT}{SERIES}/thumbnail"
    assert client.get(f"{url}?annotation=patient").data == client.get(url).data


def test_frames(client: FlaskClient) -> None:
    instance = f"{ROOT}{STUDY}/series/1.8/instances/1.9"
    middle = client.get(f"{instance}/thumbnail")
    assert middle.data == client.get(f"{instance}/frames/3/thumbnail").data
    assert client.get(f"{instance}/frames/2,3/thumbnail").status_code == 200
    problem(client.get(f"{instance}/frames/6/thumbnail"), 404)


@pytest.mark.parametrize(("series", "instance"), [("1.4", "1.5"), ("1.6", "1.7")])
def test_an_icon_for_what_is_no_image(client: FlaskClient, series: str, instance: str) -> None:
    url = f"{ROOT}{STUDY}/series/{series}/instances/{instance}/thumbnail?viewport=96,128"
    response = client.get(url)
    assert response.mimetype == "image/jpeg"
    assert picture(response.data).size == (96, 96)


def test_it_is_asked_for_only_once(client: FlaskClient) -> None:
    url = f"{ROOT}{STUDY}/thumbnail"
    etag = client.get(url).headers["ETag"]
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_it_is_never_a_document(client: FlaskClient) -> None:
    assert "image/jpeg" in problem(client.get(f"{ROOT}{STUDY}/thumbnail?accept=text/html"), 406)
    problem(client.get(f"{ROOT}{STUDY}/thumbnail?viewport=100000,100000"), 400)
