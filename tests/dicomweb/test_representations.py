"""Entity tags tell representations apart, and caches are told what an answer depends on."""

from __future__ import annotations

import orjson
import pytest
from flask.testing import FlaskClient

from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, problem, split
from vna.model.identifiers import Origin

UIDS = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPInstanceUID": "1.3"}
INSTANCE = f"{ROOT}/studies/1.1/series/1.2/instances/1.3"
FRAMES = [[b"\xff\xd8" + bytes([n]) * 20 + b"\xff\xd9"] for n in (1, 2)]
MP4 = "1.2.840.10008.1.2.4.102"
MULTI = "multipart/related; type="
VIDEO = [b"\0\0\0\x18ftypmp42", bytes(range(256)) * 40]


@pytest.fixture
def native(keep: Keep) -> None:
    keep(samples.multiframe(1, **UIDS))  # type: ignore[arg-type]


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    ("path", "accepts"),
    [
        (
            "",
            [
                "application/dicom",
                f'{MULTI}"application/dicom"',
                f"application/dicom; transfer-syntax={samples.IMPLICIT}",
                f'{MULTI}"application/dicom"; transfer-syntax={samples.IMPLICIT}',
            ],
        ),
        ("/frames/1", ["application/octet-stream", f"{MULTI}application/octet-stream"]),
        ("/bulkdata/7FE00010", ["application/octet-stream", f"{MULTI}application/octet-stream"]),
        ("/metadata", ["application/json", "application/dicom+json"]),
    ],
)
def test_every_representation_has_its_own_tag(
    client: FlaskClient, path: str, accepts: list[str]
) -> None:
    tags = {}
    for accept in accepts:
        response = client.get(INSTANCE + path, headers={"Accept": accept})
        assert response.status_code == 200, response.text
        assert "accept" in {name.lower() for name in response.vary}
        tags[accept] = response.headers["ETag"]
    assert len(set(tags.values())) == len(accepts)
    for accept in accepts:
        for other, tag in tags.items():
            headers = {"Accept": accept, "If-None-Match": tag}
            response = client.get(INSTANCE + path, headers=headers)
            assert response.status_code == (304 if other == accept else 200)
            assert "accept" in {name.lower() for name in response.vary}


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize("path", ["/studies", "/studies/1.1", "/studies/1.1/metadata"])
def test_caches_are_told(client: FlaskClient, path: str) -> None:
    names = {name.lower() for name in client.get(ROOT + path).vary}
    assert "accept" in names
    assert ("accept-encoding" in names) is (path != "/studies/1.1")


def test_a_new_version_of_the_json_makes_new_tags(
    client: FlaskClient, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(samples.small(**UIDS))
    paths = (
        f"{ROOT}/studies/1.1/metadata",
        f"{ROOT}/studies/1.1/series/1.2/metadata",
        f"{ROOT}/studies/1.1/series/1.2/instances/1.3/metadata",
    )
    before = [client.get(path).headers["ETag"] for path in paths]
    for module in ("dicomweb.metadata", "vna.services.metadata"):
        monkeypatch.setattr(f"{module}.VERSION", -1)
    after = [client.get(path).headers["ETag"] for path in paths]
    assert not set(before) & set(after)


def test_a_video_as_bulk_data(client: FlaskClient, keep: Keep) -> None:
    keep(samples.encapsulated([VIDEO], transfer_syntax_uid=MP4, table=b"", **UIDS))
    (dataset,) = orjson.loads(client.get(f"{INSTANCE}/metadata").data)
    url, whole = dataset["7FE00010"]["BulkDataURI"], b"".join(VIDEO)
    for accept, kind in (
        ("*/*", "video/mp4"),
        ("video/*", "video/mp4"),
        ("application/octet-stream", "application/octet-stream"),
    ):
        response = client.get(url, headers={"Accept": accept})
        assert (response.data, response.content_type) == (whole, kind)
        assert response.content_length == len(whole)
    part = client.get(url, headers={"Accept": "video/mp4", "Range": "bytes=5-5000"})
    assert (part.status_code, part.data) == (206, whole[5:5001])
    assert part.content_type == "video/mp4"
    rest = client.get(url, headers={"Range": "bytes=10000-999999999999999999999999"})
    assert (rest.status_code, rest.data) == (206, whole[10000:])
    assert rest.headers["Content-Range"] == f"bytes 10000-{len(whole) - 1}/{len(whole)}"
    multi = client.get(url, headers={"Accept": f'{MULTI}"video/mp4"'})
    assert [p.data for p in split(multi.data, multi.headers["Content-Type"])] == [whole]
    assert "BulkDataURI" in problem(client.get(f"{INSTANCE}/frames/1"), 404)


def test_compressed_frames_as_bulk_data(client: FlaskClient, keep: Keep) -> None:
    keep(samples.encapsulated(FRAMES, **UIDS))  # type: ignore[arg-type]
    url = f"{INSTANCE}/bulkdata/7FE00010"
    for accept in ("*/*", "multipart/related", f"{MULTI}application/octet-stream"):
        response = client.get(url, headers={"Accept": accept})
        parts = split(response.data, response.headers["Content-Type"])
        assert [part.data for part in parts] == [FRAMES[0][0], FRAMES[1][0]]
        assert {part.headers["content-type"] for part in parts} == {
            f"image/jpeg; transfer-syntax={samples.JPEG_BASELINE}"
        }
    refused = client.get(url, headers={"Accept": "application/octet-stream"})
    assert "multipart/related" in problem(refused, 406)


@pytest.mark.parametrize("study", ["1.2+3", "a&b=c", "1.2(3)", "1:2@3"])
def test_urls_of_odd_uids_are_encoded_alike(client: FlaskClient, keep: Keep, study: str) -> None:
    blob = samples.Typed("OB", bytes(5000))
    keep(samples.small(**{**UIDS, "StudyInstanceUID": study}, EncapsulatedDocument=blob))
    (found,) = orjson.loads(client.get(f"{ROOT}/instances").data)
    url = found["00081190"]["Value"][0]
    (dataset,) = orjson.loads(client.get(f"{url}/metadata").data)
    assert dataset["00420011"]["BulkDataURI"] == f"{url}/bulkdata/00420011"
    assert client.get(dataset["00420011"]["BulkDataURI"]).data == bytes(5000)


def test_looking_leaves_a_trace(
    client: FlaskClient, archive: Archive, keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    def record(study: str, _origin: Origin, what: str) -> None:
        seen.append((study, what))

    keep(samples.multiframe(1, **UIDS))  # type: ignore[arg-type]
    monkeypatch.setattr(archive.retrieve, "record_viewed", record)
    paths = ("/frames/1", "/bulkdata/7FE00010", "/metadata", "/../../metadata", "/frames/9")
    series = INSTANCE.rsplit("/instances", 1)[0]
    for path in paths:
        client.get(f"{series}/metadata" if ".." in path else INSTANCE + path)
    assert seen == [("1.1", what) for what in ("frames", "bulk data", "metadata", "metadata")]
