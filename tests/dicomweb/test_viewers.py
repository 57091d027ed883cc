"""What viewers and other clients really send, request by request, and that each gets its answer."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from tests import reports, samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, get_parts, split, stow_body
from vna.config import WebConfig

A, B = "1.2.826.1", "1.2.826.2"
INSTANCE = f"/studies/{A}/series/{A}.1/instances/{A}.1.1"
ECG = f"/studies/{B}/series/{B}.1/instances/{B}.1.1"
JPEG_FRAMES = [[b"\xff\xd8" + bytes([n]) * 30 + b"\xff\xd9"] for n in (1, 2, 3)]
WAVEFORM = b"\x01\x02" * 2000
OHIF_LIST = (
    "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030"
)
ANY_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
SLIDE = (
    "image/jls, image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90, image/jpx, "
    "application/octet-stream; transfer-syntax=*, image/jpeg"
)
BROWSER = "text/html, image/gif, */*; q=.2"


@pytest.fixture(autouse=True)
def content(keep: Keep) -> None:
    waveform = {"WaveformBitsAllocated": 16, "WaveformData": samples.Typed("OW", WAVEFORM)}
    keep(
        samples.encapsulated(
            JPEG_FRAMES,
            StudyInstanceUID=A,
            SeriesInstanceUID=f"{A}.1",
            SOPInstanceUID=f"{A}.1.1",
            PatientName="Elephant^Nelly",
            PatientID="E^1",
            PatientBirthDate="19700101",
            Modality="CT",
            StudyDate="20240131",
            StudyDescription="Thorax",
        ),
        samples.small(
            StudyInstanceUID=B,
            SeriesInstanceUID=f"{B}.1",
            SOPInstanceUID=f"{B}.1.1",
            PatientName="Miller^Max",
            PatientID="M",
            Modality="ECG",
            StudyDate="20230615",
            WaveformSequence=[waveform],  # type: ignore[list-item]
        ),
    )


def found(client: FlaskClient, query: str, accept: str = "application/dicom+json") -> list[Any]:
    response = client.get(f"{ROOT}/studies?{query}", headers={"Accept": accept})
    assert response.status_code == 200, response.text
    answer = response.get_json(force=True)
    assert isinstance(answer, list)
    return answer


def studies(client: FlaskClient, query: str) -> set[str]:
    return {study["0020000D"]["Value"][0] for study in found(client, query)}


def test_the_study_list(client: FlaskClient) -> None:
    listed = {study["0020000D"]["Value"][0]: study for study in found(client, OHIF_LIST)}
    assert set(listed) == {A, B}
    assert listed[A]["00081030"]["Value"] == ["Thorax"]
    assert listed[A]["00100030"]["Value"] == ["19700101"]
    assert listed[A]["00080061"]["Value"] == ["CT"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("PatientName=*phan*", {A}),
        ("PatientName=*eLEPH*&" + OHIF_LIST, {A}),
        (f"StudyInstanceUID={A}\\{B}", {A, B}),
        (f"StudyInstanceUID={A}%5C{B}", {A, B}),
        ("00100020=M", {B}),
        ("00100020=E%5E1", {A}),
        ("00100020=", set()),
        ("ModalitiesInStudy=MR%2CCT", {A}),
        ("ModalitiesInStudy=ECG%2CCT&limit=101", {A, B}),
        ("StudyDate=20240101-20241231", {A}),
        ("StudyDate=20230101-20241231&limit=101&offset=0", {A, B}),
        ("offset=0", {A, B}),
        ("offset=2", set()),
        ("limit=50000", {A, B}),
        ("PatientName=%25", set()),
        ("PatientName=_iller*", set()),
        ("StudyInstanceUID=" + "%5C".join([f"9.{n}" for n in range(300)] + [B]), {B}),
        ("includefield=00081030&includefield=00100030&includefield=all", {A, B}),
    ],
)
def test_searches(client: FlaskClient, query: str, expected: set[str]) -> None:
    assert studies(client, query) == expected


def test_a_browser_sees_the_list(client: FlaskClient) -> None:
    assert len(found(client, "", BROWSER)) == 2


@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom+json",
        f"application/dicom+json, {ANY_FRAME}",
        "application/dicom+json, application/json",
    ],
)
def test_series_metadata(client: FlaskClient, accept: str) -> None:
    url = f"{ROOT}/studies/{A}/series/{A}.1/metadata"
    response = client.get(url, headers={"Accept": accept, "Accept-Encoding": "gzip, deflate"})
    assert response.headers["Content-Encoding"] == "gzip"
    (dataset,) = orjson.loads(gzip.decompress(response.data))
    assert dataset["00080018"]["Value"] == [f"{A}.1.1"]
    etag = response.headers["ETag"]
    assert client.get(url, headers={"Accept": accept, "If-None-Match": etag}).status_code == 304


def test_frames(client: FlaskClient) -> None:
    for number in (1, 2, 3):
        (part,) = get_parts(client, f"{INSTANCE}/frames/{number}", ANY_FRAME)
        assert part.data == JPEG_FRAMES[number - 1][0]
        assert f"transfer-syntax={samples.JPEG_BASELINE}" in part.headers["content-type"]


def test_frames_for_a_slide_viewer(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}{INSTANCE}/frames/1", headers={"Accept": SLIDE})
    assert response.data == JPEG_FRAMES[0][0]
    as_parts = ", ".join(
        f'multipart/related; type="{kind}"' for kind in ("image/jls", "image/jp2", "image/jpeg")
    )
    (part,) = get_parts(client, f"{INSTANCE}/frames/1", as_parts)
    assert part.data == JPEG_FRAMES[0][0]


def test_frames_and_bulk_data_for_the_python_client(client: FlaskClient) -> None:
    anything = 'multipart/related; type="*/*"'
    assert len(get_parts(client, f"{INSTANCE}/frames/1,2,3", anything)) == 3
    (uri,) = waveform_uris(client)
    response = client.get(uri, headers={"Accept": anything})
    assert split(response.data, response.headers["Content-Type"])[0].data == WAVEFORM


def test_an_instance_as_parts(client: FlaskClient) -> None:
    (part,) = get_parts(client, INSTANCE, 'multipart/related; type="application/dicom"')
    assert part.data[128:132] == b"DICM"


def test_an_instance_as_a_single_part(client: FlaskClient) -> None:
    accept = "application/dicom; transfer-syntax=*"
    response = client.get(ROOT + INSTANCE, headers={"Accept": accept})
    assert response.data[128:132] == b"DICM"
    assert response.mimetype == "application/dicom"


def test_the_accept_parameter_wins(client: FlaskClient) -> None:
    url = f"{ROOT}{INSTANCE}?accept=application%2Fdicom"
    response = client.get(url, headers={"Accept": "image/jpeg"})
    assert response.mimetype == "application/dicom"
    url = f"{ROOT}/studies?accept=application%2Fjson"
    assert client.get(url, headers={"Accept": "image/jpeg"}).mimetype == "application/json"


def waveform_uris(client: FlaskClient) -> list[str]:
    (dataset,) = client.get(f"{ROOT}{ECG}/metadata").get_json(force=True)
    return [
        item["54001010"]["BulkDataURI"]
        for item in dataset["54000100"]["Value"]
        if "BulkDataURI" in item["54001010"]
    ]


@pytest.mark.parametrize("accept", ["application/octet-stream", "*/*", BROWSER])
def test_the_waveform_of_an_ecg(client: FlaskClient, accept: str) -> None:
    (uri,) = waveform_uris(client)
    response = client.get(uri, headers={"Accept": accept})
    assert (response.mimetype, response.data) == ("application/octet-stream", WAVEFORM)


def test_storing_without_content_disposition(client: FlaskClient) -> None:
    data, _ = stow_body(samples.small())
    content_type = 'multipart/related; type="application/dicom"; boundary="b o"'
    assert b"Disposition" not in data
    assert client.post(f"{ROOT}/studies", data=data, content_type=content_type).status_code == 200


C = "1.2.826.3"
IMG_TAG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.fixture
def shown(keep: Keep) -> None:
    uids: dict[str, Any] = {"StudyInstanceUID": C, "SeriesInstanceUID": f"{C}.1"}
    video: dict[str, Any] = {
        "SOPClassUID": reports.VIDEO,
        "transfer_syntax_uid": samples.MPEG4,
        "table": b"",
    }
    keep(
        samples.ct(study_instance_uid=C, series_instance_uid=f"{C}.1", rows=64, columns=64),
        reports.document(b"%PDF-1.4 %%EOF\n\n", **uids, SOPInstanceUID=f"{C}.1.2"),
        samples.encapsulated([[b"film" * 64]], SOPInstanceUID=f"{C}.1.3", **uids, **video),
    )


@pytest.mark.usefixtures("shown")
@pytest.mark.parametrize("level", [f"/studies/{C}", f"/studies/{C}/series/{C}.1"])
@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/thumbnail?accept=image%2Fjpeg", "*/*"),
        ("/thumbnail?viewport=256%2C256", "*/*"),
        ("/thumbnail", BROWSER),
        ("/rendered?accept=image%2Fjpeg", "*/*"),
        ("/rendered", IMG_TAG),
    ],
)
def test_thumbnails_of_lists(client: FlaskClient, level: str, path: str, accept: str) -> None:
    response = client.get(ROOT + level + path, headers={"Accept": accept})
    kind = "image/gif" if accept == BROWSER else "image/jpeg"
    assert (response.status_code, response.mimetype) == (200, kind)


@pytest.mark.usefixtures("shown")
def test_a_pdf_in_a_browser(client: FlaskClient) -> None:
    path = f"{ROOT}/studies/{C}/series/{C}.1/instances/{C}.1.2/rendered"
    response = client.get(path, headers={"Accept": BROWSER})
    assert (response.mimetype, response.data[:5]) == ("application/pdf", b"%PDF-")


@pytest.mark.usefixtures("shown")
def test_a_video_in_a_browser(client: FlaskClient) -> None:
    path = f"{ROOT}/studies/{C}/series/{C}.1/instances/{C}.1.3/rendered"
    response = client.get(path, headers={"Range": "bytes=0-", "Accept": "*/*"})
    assert (response.status_code, response.mimetype) == (206, "video/mp4")
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Range"] == "bytes 0-255/256"
    assert response.data == b"film" * 64


@pytest.mark.parametrize(
    "path",
    ["/studies", f"{INSTANCE}/frames/1", f"{INSTANCE}/bulkdata/7FE00010", f"/studies/{A}/metadata"],
)
def test_a_preflight_for_each_url(archive: Archive, path: str) -> None:
    settings = WebConfig(users={"a": "scrypt:32768:8:1$a$b"}, cors_origins=("https://v.example",))
    response = (
        archive.app(settings)
        .test_client()
        .options(
            ROOT + path,
            headers={
                "Origin": "https://v.example",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "accept,authorization",
            },
        )
    )
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "https://v.example"


def test_following_retrieve_urls(client: FlaskClient) -> None:
    for study in found(client, ""):
        response = client.get(study["00081190"]["Value"][0])
        assert response.status_code == 200
        assert split(response.data, response.headers["Content-Type"])
