"""Retrieving whole instances through HTTP."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient
from pydicom import dcmread

from storage_backends.errors import BackendUnavailable
from tests import samples
from tests.dicomweb.conftest import Archive, Keep
from tests.dicomweb.multiparts import ROOT, get_parts, problem, split
from vna.errors import VnaError

DICOM_PARTS = 'multipart/related; type="application/dicom"'
STUDY = "1.2.3"


@pytest.fixture
def files(keep: Keep) -> dict[str, bytes]:
    """A study of two series: SOP Instance UID -> file."""
    made = {
        uid: samples.small(
            syntax,
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=uid.rpartition(".")[0],
            SOPInstanceUID=uid,
            InstanceNumber=uid[-1],
        )
        for uid, syntax in (
            ("1.2.3.1.1", samples.EXPLICIT),
            ("1.2.3.1.2", samples.IMPLICIT),
            ("1.2.3.2.1", samples.BIG_ENDIAN),
        )
    }
    keep(*made.values())
    return made


def instance_path(uid: str) -> str:
    return f"/studies/{STUDY}/series/{uid.rpartition('.')[0]}/instances/{uid}"


@pytest.mark.parametrize(
    "accept",
    [
        DICOM_PARTS,
        "multipart/related; type=application/dicom; transfer-syntax=*",
        "multipart/related",
        "*/*",
        "text/html, image/gif, */*; q=.2",
    ],
)
def test_stored_bytes_at_every_level(
    client: FlaskClient, files: dict[str, bytes], accept: str
) -> None:
    for path, uids in (
        (f"/studies/{STUDY}", list(files)),
        (f"/studies/{STUDY}/series/1.2.3.1", ["1.2.3.1.1", "1.2.3.1.2"]),
        (instance_path("1.2.3.2.1"), ["1.2.3.2.1"]),
    ):
        parts = get_parts(client, path, accept)
        assert [part.data for part in parts] == [files[uid] for uid in uids]
        for part, uid in zip(parts, uids, strict=True):
            assert part.headers["content-location"] == f"http://localhost{ROOT}{instance_path(uid)}"
    assert parts[0].headers["content-type"] == (
        f"application/dicom; transfer-syntax={samples.BIG_ENDIAN}"
    )


def test_the_length_is_announced(client: FlaskClient, files: dict[str, bytes]) -> None:
    for accept in ("application/dicom", "multipart/related; type=application/dicom"):
        path = ROOT + instance_path("1.2.3.1.1")
        response = client.get(path, headers={"Accept": accept})
        assert response.content_length == len(response.data)
    response = client.get(f"{ROOT}/studies/{STUDY}")
    assert len(split(response.data, response.headers["Content-Type"])) == len(files)


def test_the_length_counts_the_file_meta_that_is_delivered(client: FlaskClient, keep: Keep) -> None:
    uids = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.2", "SOPInstanceUID": "1.3"}
    whole = samples.small(**uids)
    keep(whole[132:])
    for accept in ("application/dicom", "multipart/related; type=application/dicom"):
        path = f"{ROOT}/studies/1.1/series/1.2/instances/1.3"
        response = client.get(path, headers={"Accept": accept})
        assert response.content_length == len(response.data)
        assert whole in response.data


@pytest.mark.usefixtures("files")
def test_head_tells_the_same_without_a_body(client: FlaskClient) -> None:
    got, head = (
        method(f"{ROOT}{instance_path('1.2.3.1.1')}", headers={"Accept": "application/dicom"})
        for method in (client.get, client.head)
    )
    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert head.headers["ETag"] == got.headers["ETag"]


@pytest.mark.parametrize(
    "accept", ["application/dicom", "application/dicom; transfer-syntax=*", "application/*"]
)
def test_a_single_part(client: FlaskClient, files: dict[str, bytes], accept: str) -> None:
    response = client.get(f"{ROOT}{instance_path('1.2.3.1.2')}", headers={"Accept": accept})
    assert response.data == files["1.2.3.1.2"]
    assert response.content_length == len(response.data)
    assert response.content_type == f"application/dicom; transfer-syntax={samples.IMPLICIT}"


@pytest.mark.usefixtures("files")
def test_a_single_part_of_several_instances_is_not_available(client: FlaskClient) -> None:
    response = client.get(f"{ROOT}/studies/{STUDY}", headers={"Accept": "application/dicom"})
    assert "multipart/related" in problem(response, 406)


@pytest.mark.parametrize("syntax", [samples.EXPLICIT, samples.IMPLICIT])
def test_transcoding_when_a_native_syntax_is_named(
    client: FlaskClient, files: dict[str, bytes], syntax: str
) -> None:
    parts = get_parts(client, f"/studies/{STUDY}", f"{DICOM_PARTS}; transfer-syntax={syntax}")
    assert len(parts) == len(files)
    for part, uid in zip(parts, files, strict=True):
        assert part.headers["content-type"].endswith(f"transfer-syntax={syntax}")
        dataset, stored = dcmread(io.BytesIO(part.data)), dcmread(io.BytesIO(files[uid]))
        assert dataset.file_meta.TransferSyntaxUID == syntax
        assert dataset == stored


def test_compressed_instances_are_decompressed_when_asked(client: FlaskClient, keep: Keep) -> None:
    path = next(path for path in samples.pydicom_files() if path.name == "MR_small_RLE.dcm")
    keep(path.read_bytes())
    raw = dcmread(path)
    url = f"/studies/{raw.StudyInstanceUID}/series/{raw.SeriesInstanceUID}"
    (part,) = get_parts(client, url, f"{DICOM_PARTS}; transfer-syntax={samples.EXPLICIT}")
    dataset = dcmread(io.BytesIO(part.data))
    assert not dataset.file_meta.TransferSyntaxUID.is_compressed
    assert (dataset.pixel_array == raw.pixel_array).all()


@pytest.mark.usefixtures("files")
def test_a_syntax_that_is_not_available_is_refused_by_name(client: FlaskClient) -> None:
    accept = f"{DICOM_PARTS}; transfer-syntax={samples.MPEG4}"
    response = client.get(f"{ROOT}{instance_path('1.2.3.1.1')}", headers={"Accept": accept})
    assert samples.EXPLICIT in problem(response, 406)


def test_what_cannot_be_decoded_is_given_as_stored_only(client: FlaskClient, keep: Keep) -> None:
    keep(
        samples.encapsulated(
            [[b"\0\0\0\1"]],
            transfer_syntax_uid=samples.MPEG4,
            StudyInstanceUID="5.1",
            SeriesInstanceUID="5.2",
            SOPInstanceUID="5.3",
        )
    )
    url = f"{ROOT}/studies/5.1/series/5.2/instances/5.3"
    accept = f"{DICOM_PARTS}; transfer-syntax={samples.EXPLICIT}"
    assert samples.MPEG4 in problem(client.get(url, headers={"Accept": accept}), 406)
    assert client.get(url).status_code == 200


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "path",
    [
        "/studies/9.9",
        f"/studies/{STUDY}/series/9.9",
        f"/studies/{STUDY}/series/1.2.3.1/instances/9.9",
        "/studies/9.9/series/1.2.3.1/instances/1.2.3.1.1",
        f"/studies/{STUDY}/series/1.2.3.2/instances/1.2.3.1.1",
        "/studies/..",
        "/studies/%2e%2e",
        "/studies/..%2F..%2Fetc%2Fpasswd",
        "/studies/*",
        f"/studies/{STUDY}%5C1.2.4",
        "/studies/%00",
        "/studies/" + "1" * 500,
    ],
)
def test_what_is_not_there(client: FlaskClient, path: str) -> None:
    problem(client.get(ROOT + path), 404)


@pytest.mark.usefixtures("files")
def test_an_unchanged_instance_is_not_sent_again(client: FlaskClient) -> None:
    url = f"{ROOT}{instance_path('1.2.3.1.1')}"
    etag = client.get(url).headers["ETag"]
    response = client.get(url, headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")


@pytest.mark.parametrize(
    "accept", [DICOM_PARTS, "application/zip", "application/zip; dicomdir=true"]
)
@pytest.mark.usefixtures("files")
def test_an_unchanged_study_is_not_read_again(
    archive: Archive, client: FlaskClient, keep: Keep, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    def unread(*_: object, **__: object) -> object:
        raise AssertionError("nothing is to be read")

    tags = {}
    for path in (f"/studies/{STUDY}", f"/studies/{STUDY}/series/1.2.3.1"):
        tags[path] = client.get(ROOT + path, headers={"Accept": accept}).headers["ETag"]
    assert len(set(tags.values())) == 2
    with monkeypatch.context() as patched:
        patched.setattr(archive.backend, "open", unread)
        for path, tag in tags.items():
            sent = {"Accept": accept, "If-None-Match": tag}
            response = client.get(ROOT + path, headers=sent)
            assert (response.status_code, response.data) == (304, b"")
            assert response.headers["ETag"] == tag
    keep(samples.small(StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.3.9", SOPInstanceUID="1.9"))
    sent = {"Accept": accept, "If-None-Match": tags[f"/studies/{STUDY}"]}
    assert client.get(f"{ROOT}/studies/{STUDY}", headers=sent).status_code == 200


@pytest.mark.usefixtures("files")
def test_the_tag_of_a_study_is_that_of_a_transfer_syntax_and_a_host(client: FlaskClient) -> None:
    tags = set()
    for syntax in ("*", samples.EXPLICIT, samples.IMPLICIT):
        for host in ("http://localhost", "http://127.0.0.1"):
            headers = {"Accept": f"{DICOM_PARTS}; transfer-syntax={syntax}"}
            url = f"{ROOT}/studies/{STUDY}"
            tags.add(client.head(url, headers=headers, base_url=host).headers["ETag"])
    assert len(tags) == 6


@pytest.mark.usefixtures("files")
def test_a_storage_without_an_answer_is_503(
    archive: Archive, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> object:
        raise BackendUnavailable("no answer")

    monkeypatch.setattr(archive.backend, "open", gone)
    for path in (f"/studies/{STUDY}", instance_path("1.2.3.1.1")):
        response = client.get(ROOT + path)
        problem(response, 503)
        assert response.headers["Retry-After"]


@pytest.mark.usefixtures("files")
def test_an_answer_that_breaks_off_is_never_whole(
    archive: Archive, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, calls = archive.backend.open, []

    def once(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) > 1:
            raise BackendUnavailable("no answer any more")
        return opened(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(archive.backend, "open", once)
    with pytest.raises(VnaError):
        _ = client.get(f"{ROOT}/studies/{STUDY}", buffered=True).data


def test_an_instance_without_file_meta_is_given_one(client: FlaskClient) -> None:
    identity = samples.identity(
        StudyInstanceUID="6.1", SeriesInstanceUID="6.2", SOPInstanceUID="6.3"
    )
    bare = samples.dataset(identity, samples.IMPLICIT)
    client.post(f"{ROOT}/studies", data=bare, content_type="application/dicom")
    (part,) = get_parts(client, "/studies/6.1", DICOM_PARTS)
    assert part.data.endswith(bare)
    assert dcmread(io.BytesIO(part.data)).SOPInstanceUID == "6.3"
