"""The viewer's doors under gunicorn, with decoder processes, a real client and clients that leave."""

from __future__ import annotations

import io
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from requests.exceptions import HTTPError

from tests import reports, samples
from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import Server

pytestmark = pytest.mark.slow

PDF = b"%PDF-1.4\n%%EOF\n\n"
PATH = ("1.1", "1.2")


def uids(instance: str, series: str = "1.2") -> dict[str, Any]:
    return {"StudyInstanceUID": "1.1", "SeriesInstanceUID": series, "SOPInstanceUID": instance}


@pytest.fixture(autouse=True)
def stored(server: Server) -> None:
    data, content_type = stow_body(
        *(
            samples.ct_at(
                "1.1",
                "1.2",
                f"1.3.{number}",
                rows=128,
                columns=128,
                InstanceNumber=str(number),
                patient_id="PID-1",
            )
            for number in range(1, 9)
        ),
        samples.multiframe(3, rows=16, columns=16, **uids("1.5", "1.4")),
        reports.document(PDF, **uids("1.7", "1.6")),
        reports.report(reports.item("TEXT", "Finding", TextValue="x"), **uids("1.9", "1.8")),
    )
    answer = requests.post(
        f"{server.url}/studies", data=data, headers={"Content-Type": content_type}, timeout=60
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture
def client(server: Server) -> DICOMwebClient:
    return DICOMwebClient(server.url)


def kind_of(body: bytes) -> str | None:
    return Image.open(io.BytesIO(body)).format


def test_the_calls_of_a_client(client: DICOMwebClient) -> None:
    for kind in ("jpeg", "png", "gif"):
        media = (f"image/{kind}",)
        one = client.retrieve_instance_rendered(*PATH, "1.3.4", media_types=media)
        many = client.retrieve_series_rendered(*PATH, media_types=media)
        assert kind_of(one) == kind_of(many) == kind.upper()
        frame = client.retrieve_instance_frames_rendered(
            "1.1", "1.4", "1.5", [2], media_types=media
        )
        assert kind_of(frame) == kind.upper()
    small = client.retrieve_instance_rendered(*PATH, "1.3.4", params={"viewport": "32,32"})
    assert Image.open(io.BytesIO(small)).size == (32, 32)
    pdf = client.retrieve_instance_rendered("1.1", "1.6", "1.7", media_types=("application/pdf",))
    assert pdf == PDF
    page = client.retrieve_instance_rendered("1.1", "1.8", "1.9", media_types=("text/html",))
    assert "Finding" in str(page)
    film = client.retrieve_instance_rendered("1.1", "1.4", "1.5", media_types=("video/mp4",))
    assert film[4:8] == b"ftyp"
    with pytest.raises(HTTPError, match="406"):
        client.retrieve_instance_rendered("1.1", "1.6", "1.7", media_types=("image/png",))


def test_many_at_once(server: Server) -> None:
    urls = [
        f"{server.url}/studies/1.1/series/1.2/instances/1.3.{number}/{what}"
        for number in range(1, 9)
        for what in ("rendered", "thumbnail", "rendered?accept=image/png", "rendered?window=1,2")
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda url: requests.get(url, timeout=60), urls))
    assert {answer.status_code for answer in answers} == {200}
    again = requests.get(urls[0], headers={"If-None-Match": answers[0].headers["ETag"]}, timeout=60)
    assert again.status_code == 304


def test_who_leaves_amid_an_answer_leaves_nothing_behind(server: Server) -> None:
    parts = urlsplit(server.url)
    head = (
        f"GET {parts.path}/studies/1.1/rendered?viewport=2000,2000 HTTP/1.1\r\n"
        f'Host: {parts.netloc}\r\nAccept: multipart/related; type="image/png"\r\n\r\n'
    )
    for _ in range(3):
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as leaving:
            leaving.sendall(head.encode())
            assert leaving.recv(64).startswith(b"HTTP/1.1 200")
    answer = requests.get(f"{server.url}/studies/1.1/thumbnail", timeout=60)
    assert answer.status_code == 200


def test_the_uri_service(server: Server) -> None:
    query = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.2", "objectUID": "1.3.4"}
    root = server.url.removesuffix("/dicom-web")
    for url in (f"{root}/wado", f"{server.url}/wado"):
        image = requests.get(url, params=query, timeout=60)
        assert kind_of(image.content) == "JPEG"
        whole = {**query, "contentType": "application/dicom", "anonymize": "yes"}
        assert requests.get(url, params=whole, timeout=60).content[128:132] == b"DICM"
