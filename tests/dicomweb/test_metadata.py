"""Metadata through HTTP, and the bulk data that its URIs lead to."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import zstandard
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem, split
from vna.config import WebConfig
from vna.dicom.native_xml import read_xml

STUDY = "/studies/1.1"
SERIES = f"{STUDY}/series/1.2"
INSTANCE = f"{SERIES}/instances/1.3"
UIDS = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPInstanceUID": "1.3"}
WAVEFORM = bytes(range(256)) * 20


@pytest.fixture
def study(keep: Keep) -> None:
    """Two series: an ECG-like instance with bulk data inside a sequence, and a CT."""
    waveform = {"WaveformBitsAllocated": 16, "WaveformData": samples.Typed("OW", WAVEFORM)}
    keep(
        samples.small(**UIDS, WaveformSequence=[waveform], PatientName="Doe^Jane"),  # type: ignore[list-item]
        samples.ct_at("1.1", "1.4", "1.5", rows=64, columns=64),
    )


def metadata(client: FlaskClient, path: str, **headers: str) -> list[dict[str, Any]]:
    response = client.get(f"{ROOT}{path}/metadata", headers=headers)
    assert response.status_code == 200, response.text
    assert response.mimetype == "application/dicom+json"
    data = response.data
    if response.headers.get("Content-Encoding") == "gzip":
        data = gzip.decompress(data)
    found = orjson.loads(data)
    assert isinstance(found, list)
    return found


def bulk_uris(dataset: dict[str, Any]) -> Iterator[str]:
    for element in dataset.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        for value in element.get("Value", ()) if element["vr"] == "SQ" else ():
            yield from bulk_uris(value)


@pytest.mark.usefixtures("study")
def test_metadata_at_every_level(client: FlaskClient) -> None:
    def found(path: str) -> list[object]:
        return [item["00080018"]["Value"][0] for item in metadata(client, path)]

    assert sorted(map(str, found(STUDY))) == ["1.3", "1.5"]
    assert found(SERIES) == ["1.3"]
    assert found(f"{STUDY}/series/1.4") == ["1.5"]
    assert found(INSTANCE) == ["1.3"]


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", [STUDY, SERIES, f"{STUDY}/series/1.4/instances/1.5"])
def test_gzip_for_those_who_accept_it(client: FlaskClient, path: str) -> None:
    plain = metadata(client, path)
    for accepted, is_gzip in (
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("zstd;q=0.5, gzip", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("br", False),
    ):
        url = f"{ROOT}{path}/metadata"
        response = client.get(url, headers={"Accept-Encoding": accepted})
        assert ("gzip" in response.headers.get("Content-Encoding", "")) is is_gzip
        assert "Accept-Encoding" in response.headers["Vary"]
        assert metadata(client, path, **{"Accept-Encoding": accepted}) == plain


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE])
def test_unchanged_metadata_are_not_sent_again(client: FlaskClient, keep: Keep, path: str) -> None:
    url = f"{ROOT}{path}/metadata"
    etag = client.get(url).headers["ETag"]
    for sent in (etag, f'"other", {etag}', "*"):
        response = client.get(url, headers={"If-None-Match": sent})
        assert (response.status_code, response.data) == (304, b"")
        assert response.headers["ETag"] == etag
    elsewhere = client.get(url, headers={"If-None-Match": etag, "Host": "127.0.0.1"})
    assert elsewhere.status_code == 200
    if path != INSTANCE:
        keep(samples.small(**{**UIDS, "SOPInstanceUID": "1.9"}))
        changed = client.get(url, headers={"If-None-Match": etag})
        assert changed.status_code == 200
        assert changed.headers["ETag"] != etag


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE])
def test_head_of_metadata(client: FlaskClient, path: str) -> None:
    response = client.head(f"{ROOT}{path}/metadata")
    assert (response.status_code, response.data) == (200, b"")
    assert "ETag" in response.headers


@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE, "/studies/.."])
def test_metadata_of_nothing(client: FlaskClient, path: str) -> None:
    problem(client.get(f"{ROOT}{path}/metadata"), 404)


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE])
def test_metadata_in_another_form(client: FlaskClient, path: str) -> None:
    url = f"{ROOT}{path}/metadata"
    problem(client.get(url, headers={"Accept": "image/png"}), 406)
    assert client.get(url, headers={"Accept": "application/json"}).mimetype == "application/json"


@pytest.mark.usefixtures("study")
def test_bulk_data_uris_resolve(client: FlaskClient) -> None:
    by_instance = {item["00080018"]["Value"][0]: item for item in metadata(client, STUDY)}
    (waveform,) = bulk_uris(by_instance["1.3"])
    assert client.get(waveform).data == WAVEFORM
    pixel_data = by_instance["1.5"]["7FE00010"]["BulkDataURI"]
    assert len(client.get(pixel_data).data) == 64 * 64 * 2
    for item in by_instance.values():
        for uri in bulk_uris(item):
            assert client.get(uri).status_code == 200


@pytest.mark.usefixtures("study")
def test_bulk_data_uris_carry_the_public_host_and_prefix(archive: Archive) -> None:
    settings = WebConfig(public_url="https://pacs.example.org/a/dicom-web")
    client = archive.app(settings).test_client()
    (uri,) = bulk_uris(metadata(client, SERIES)[0])
    assert uri.startswith(f"https://pacs.example.org/a/dicom-web{INSTANCE}/bulkdata/")


@pytest.fixture
def waveform_path(study: None, client: FlaskClient) -> str:
    (uri,) = bulk_uris(metadata(client, INSTANCE)[0])
    return uri.removeprefix(f"http://localhost{ROOT}")


@pytest.mark.parametrize("accept", ["*/*", "application/octet-stream", ""])
def test_bulk_data_as_a_single_part(client: FlaskClient, waveform_path: str, accept: str) -> None:
    response = client.get(ROOT + waveform_path, headers={"Accept": accept})
    assert response.data == WAVEFORM
    assert response.content_type == "application/octet-stream"
    assert response.content_length == len(WAVEFORM)
    assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "accept", ["multipart/related; type=application/octet-stream", 'multipart/related; type="*/*"']
)
def test_bulk_data_as_multipart(client: FlaskClient, waveform_path: str, accept: str) -> None:
    (part,) = get_parts(client, waveform_path, accept)
    assert part.data == WAVEFORM
    assert part.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-9", WAVEFORM[:10], "bytes 0-9/5120"),
        ("bytes=5000-", WAVEFORM[5000:], "bytes 5000-5119/5120"),
        ("bytes=-7", WAVEFORM[-7:], "bytes 5113-5119/5120"),
        ("bytes=3-4000", WAVEFORM[3:4001], "bytes 3-4000/5120"),
    ],
)
def test_ranges_of_bulk_data(
    client: FlaskClient, waveform_path: str, header: str, expected: bytes, content_range: str
) -> None:
    response = client.get(ROOT + waveform_path, headers={"Range": header})
    assert response.status_code == 206
    assert response.data == expected
    assert response.headers["Content-Range"] == content_range


def test_a_range_outside_of_bulk_data(client: FlaskClient, waveform_path: str) -> None:
    response = client.get(ROOT + waveform_path, headers={"Range": "bytes=9000-"})
    problem(response, 416)
    assert response.headers["Content-Range"] == "bytes */5120"
    assert "ETag" not in response.headers


def test_several_ranges_are_parts(client: FlaskClient, waveform_path: str) -> None:
    response = client.get(ROOT + waveform_path, headers={"Range": "bytes=0-1,5000-"})
    assert response.status_code == 206
    assert response.mimetype == "multipart/byteranges"
    assert "Content-Range" not in response.headers
    assert response.content_length == len(response.data)
    first, second = split(response.data, response.content_type)
    assert (first.data, second.data) == (WAVEFORM[:2], WAVEFORM[5000:])
    assert first.headers["content-range"] == "bytes 0-1/5120"
    assert second.headers["content-range"] == "bytes 5000-5119/5120"
    assert second.headers["content-type"] == "application/octet-stream"


def test_thousands_of_ranges_give_the_whole(client: FlaskClient, waveform_path: str) -> None:
    ranges = ",".join(f"{2 * number}-{2 * number}" for number in range(2000))
    response = client.get(ROOT + waveform_path, headers={"Range": f"bytes={ranges}"})
    assert (response.status_code, response.data) == (200, WAVEFORM)


def test_head_has_no_range(client: FlaskClient, waveform_path: str) -> None:
    response = client.head(ROOT + waveform_path, headers={"Range": "bytes=0-1"})
    assert (response.status_code, response.content_length) == (200, len(WAVEFORM))


def test_bulk_data_that_is_unchanged(client: FlaskClient, waveform_path: str) -> None:
    etag = client.get(ROOT + waveform_path).headers["ETag"]
    assert client.get(ROOT + waveform_path, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    "path", ["7FE00010", "nonsense", "54000100/9/54001010", "../../1.5", "00100010/0", "x" * 200]
)
def test_bulk_data_that_are_not_there(client: FlaskClient, path: str) -> None:
    problem(client.get(f"{ROOT}{INSTANCE}/bulkdata/{path}"), 404)


def test_encapsulated_pixel_data_is_a_part_a_frame(client: FlaskClient, keep: Keep) -> None:
    frames = [b"\xff\xd8one\xff\xd9.", b"\xff\xd8three\xff\xd9."]
    keep(samples.encapsulated([[frame] for frame in frames], **UIDS))  # type: ignore[arg-type]
    uri = metadata(client, INSTANCE)[0]["7FE00010"]["BulkDataURI"]
    path = uri.removeprefix(f"http://localhost{ROOT}")
    for accept in ("*/*", 'multipart/related; type="*/*"'):
        parts = get_parts(client, path, accept)
        assert [part.data.rstrip(b"\0") for part in parts] == frames


# --- documents --------------------------------------------------------------------------------------


XML = {"Accept": 'multipart/related; type="application/dicom+xml"'}


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE])
def test_zstd_for_those_who_name_it(client: FlaskClient, path: str) -> None:
    plain = metadata(client, path)
    response = client.get(f"{ROOT}{path}/metadata", headers={"Accept-Encoding": "gzip, zstd"})
    data = response.data
    if path != INSTANCE:
        assert response.headers["Content-Encoding"] == "zstd"
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    assert orjson.loads(data) == plain


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE])
def test_metadata_in_xml_say_the_same(client: FlaskClient, path: str) -> None:
    parts = get_parts(client, f"{path}/metadata", XML["Accept"])
    assert {part.headers["content-type"] for part in parts} == {"application/dicom+xml"}
    assert [read_xml(part.data) for part in parts] == metadata(client, path)
    assert client.get(f"{ROOT}{path}/metadata?accept=application/dicom%2Bjson", headers=XML).json
    etag = client.get(f"{ROOT}{path}/metadata").headers["ETag"]
    assert client.get(f"{ROOT}{path}/metadata", headers=XML).headers["ETag"] != etag


@pytest.mark.usefixtures("study")
def test_every_host_has_its_own_urls_of_the_same_document(archive: Archive) -> None:
    found = []
    for public_url in ("https://a.example.org", 'https://b.example.org/"x"/y'):
        client = archive.app(WebConfig(public_url=public_url)).test_client()
        (item,) = metadata(client, f"{STUDY}/series/1.4")
        root = public_url + (ROOT if public_url.endswith("org") else "")
        uri = item["7FE00010"]["BulkDataURI"]
        assert uri.startswith(f"{root}/studies/1.1/series/1.4/instances/1.5/bulkdata/")
        found.append({key: part for key, part in item.items() if "BulkDataURI" not in part})
    assert found[0] == found[1]


def test_a_text_that_looks_like_a_uri_of_ours_stays_as_it_is(archive: Archive, keep: Keep) -> None:
    text = 'http://localhost/dicom-web/studies "BulkDataURI":"http://localhost/dicom-web/studies'
    keep(samples.small(**UIDS, StudyComments=text))
    metadata(archive.app().test_client(), SERIES)
    other = archive.app(WebConfig(public_url="https://a.example.org")).test_client()
    (item,) = metadata(other, SERIES)
    assert item["00324000"]["Value"] == [text]


@pytest.mark.usefixtures("study")
def test_head_reads_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> object:
        raise AssertionError("an object was opened")

    monkeypatch.setattr(type(archive.retrieve), "open", never)
    client = archive.app().test_client()
    for path in (STUDY, SERIES, INSTANCE):
        response = client.head(f"{ROOT}{path}/metadata")
        assert (response.status_code, response.mimetype) == (200, "application/dicom+json")


@pytest.mark.usefixtures("study")
def test_a_store_between_two_looks_is_seen(client: FlaskClient, keep: Keep) -> None:
    before = client.get(f"{ROOT}{SERIES}/metadata").headers["ETag"]
    keep(samples.small(**{**UIDS, "SOPInstanceUID": "1.9"}))
    response = client.get(f"{ROOT}{SERIES}/metadata", headers={"If-None-Match": before})
    assert response.status_code == 200
    assert len(response.get_json()) == 2
