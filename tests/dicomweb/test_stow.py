"""Storing through HTTP: what is kept, what is refused, what is told."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient

from dicomweb import reception
from dicomweb.store_window import WINDOW
from storage_backends.errors import BackendFull, BackendUnavailable
from tests import samples
from tests.dicomweb.conftest import Archive
from tests.dicomweb.multiparts import ROOT, STOW, problem, stow_body, values

STUDIES = ROOT + "/studies"
STORED, FAILED, OTHERS = "00081199", "00081198", "0008119A"


def stored_objects(archive: Archive) -> int:
    return len(list(archive.backend.scan()))


def fetch(client: FlaskClient, study: str, series: str, instance: str) -> bytes:
    path = f"{STUDIES}/{study}/series/{series}/instances/{instance}"
    response = client.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert response.status_code == 200, response.text
    return bytes(response.data)


def test_all_stored(client: FlaskClient) -> None:
    study, instances = samples.new_uid(), [samples.new_uid(), samples.new_uid()]
    files = [samples.small(StudyInstanceUID=study, SOPInstanceUID=uid) for uid in instances]
    data, content_type = stow_body(*files)
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == 200
    assert response.content_type == "application/dicom+json"
    result = response.get_json()
    assert set(result) == {"00081190", STORED}
    assert result["00081190"]["Value"] == [f"http://localhost{STUDIES}/{study}"]
    items = result[STORED]["Value"]
    assert values(items, "00081155") == instances
    assert values(items, "00081150") == [samples.SECONDARY_CAPTURE] * 2
    for item, file in zip(items, files, strict=True):
        url = item["00081190"]["Value"][0]
        assert client.get(url, headers={"Accept": "application/dicom"}).data == file


def test_stored_bytes_are_the_bytes_sent_also_without_meta_group(client: FlaskClient) -> None:
    identity = samples.identity()
    bare = samples.dataset(identity, samples.IMPLICIT)
    response = client.post(STUDIES, data=bare, content_type="application/dicom")
    assert response.status_code in {200, 202}
    uids = [str(identity[k]) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
    fetched = fetch(client, uids[0], uids[1], uids[2])
    assert fetched[128:132] == b"DICM"
    assert fetched.endswith(bare)


def test_a_large_instance_goes_through_the_spool_file(
    client: FlaskClient, archive: Archive
) -> None:
    file = samples.ct()
    response = client.post(STUDIES, data=file, content_type="application/dicom")
    assert response.status_code == 200, response.text
    url = response.get_json()[STORED]["Value"][0]["00081190"]["Value"][0]
    assert client.get(url, headers={"Accept": "application/dicom"}).data == file
    assert archive.spooled() == []


def test_the_same_again_is_a_success_and_kept_once(client: FlaskClient, archive: Archive) -> None:
    data, content_type = stow_body(samples.small())
    for _ in range(2):
        assert client.post(STUDIES, data=data, content_type=content_type).status_code == 200
    assert stored_objects(archive) == 1


def test_other_content_under_the_same_uid_is_kept_and_told(
    client: FlaskClient, archive: Archive
) -> None:
    uids = {
        key: samples.new_uid()
        for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    }
    first = samples.small(**uids)
    other = samples.small(**uids, StudyDescription="other")
    assert client.post(STUDIES, data=first, content_type="application/dicom").status_code == 200
    response = client.post(STUDIES, data=other, content_type="application/dicom")
    assert response.status_code == 202
    (item,) = response.get_json()[STORED]["Value"]
    assert item["00081196"]["Value"] == [0xB007]
    assert "Value" not in item["00081190"]  # what can be had there is the first one
    assert "00081190" not in response.get_json()
    assert stored_objects(archive) == 2
    assert fetch(client, *uids.values()) == first


def test_some_refused(client: FlaskClient) -> None:
    good = samples.small()
    data, content_type = stow_body(good, b"not DICOM at all", b"")
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == 202
    result = response.get_json()
    assert len(result[STORED]["Value"]) == 1
    assert values(result[OTHERS]["Value"], "00081197") == [0xC000, 0xC000]
    assert "empty" in result[OTHERS]["Value"][1]["00000902"]["Value"][0]


def test_none_stored(client: FlaskClient, archive: Archive) -> None:
    data, content_type = stow_body(b"nonsense", b"")
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == 409
    assert STORED not in response.get_json()
    assert stored_objects(archive) == 0


def test_another_study_than_the_url_names(client: FlaskClient, archive: Archive) -> None:
    uid = samples.new_uid()
    data, content_type = stow_body(samples.small(SOPInstanceUID=uid))
    response = client.post(f"{STUDIES}/{samples.new_uid()}", data=data, content_type=content_type)
    assert response.status_code == 409
    (item,) = response.get_json()[FAILED]["Value"]
    assert item["00081155"]["Value"] == [uid]
    assert item["00081150"]["Value"] == [samples.SECONDARY_CAPTURE]
    assert item["00081197"]["Value"] == [0xA900]
    assert stored_objects(archive) == 0


def test_the_study_that_the_url_names(client: FlaskClient) -> None:
    study = samples.new_uid()
    data, content_type = stow_body(samples.small(StudyInstanceUID=study))
    assert (
        client.post(f"{STUDIES}/{study}", data=data, content_type=content_type).status_code == 200
    )


@pytest.mark.parametrize("part_type", ["application/pdf", "application/dicom+json", "nonsense"])
def test_parts_of_another_type_are_failures(client: FlaskClient, part_type: str) -> None:
    data, content_type = stow_body(samples.small(), part_type=part_type)
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == 409
    (item,) = response.get_json()[OTHERS]["Value"]
    assert part_type in item["00000902"]["Value"][0]


@pytest.mark.parametrize("header", ["Content-Transfer-Encoding: base64", "Content-Encoding: gzip"])
def test_coded_parts_are_failures(client: FlaskClient, header: str) -> None:
    data, content_type = stow_body(samples.small(), part_type=f"application/dicom\r\n{header}")
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == 409
    (item,) = response.get_json()[OTHERS]["Value"]
    assert header.lower().partition(":")[0] in item["00000902"]["Value"][0]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n",
        b'content-type:application/dicom\r\nContent-Disposition: attachment; filename="a"\r\n',
        b"Content-Transfer-Encoding: binary\r\nContent-ID: <1>\r\n",
        b"Content-Type: application/octet-stream\r\n",
    ],
)
def test_part_headers_as_clients_send_them(client: FlaskClient, head: bytes) -> None:
    body = b"--x\r\n" + head + b"\r\n" + samples.small() + b"\r\n--x--"
    for content_type in (
        "multipart/related; boundary=x",
        'Multipart/Related; Type="application/dicom"; Boundary="x"',
        "multipart/related; type=application/dicom; boundary=x",
        "multipart/related; boundary=x; type=application/dicom; start=<1>",
        'multipart/related; boundary=x; type="application/dicom; transfer-syntax=*"',
    ):
        response = client.post(STUDIES, data=body, content_type=content_type)
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/octet-stream",
        "multipart/form-data; boundary=b",
        'multipart/related; type="application/pdf"; boundary=b',
        "application/json",
    ],
)
def test_bodies_of_another_type(client: FlaskClient, content_type: str) -> None:
    response = client.post(STUDIES, data=b"--b--", headers={"Content-Type": content_type})
    assert "application/dicom" in problem(response, 415)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br", "identity, gzip"])
def test_compressed_bodies_are_refused(client: FlaskClient, archive: Archive, coding: str) -> None:
    data, content_type = stow_body(samples.small())
    response = client.post(
        STUDIES, data=data, content_type=content_type, headers={"Content-Encoding": coding}
    )
    assert "Content-Encoding" in problem(response, 415)
    assert stored_objects(archive) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b o--\r\n",
        b"no boundary at all",
        b"--b o\r\nheader without colon\r\n\r\nx\r\n--b o--",
    ],
)
def test_malformed_bodies(client: FlaskClient, body: bytes) -> None:
    problem(client.post(STUDIES, data=body, content_type=STOW), 400)


@pytest.mark.parametrize("content_type", ["multipart/related", 'multipart/related; boundary=""'])
def test_a_missing_boundary(client: FlaskClient, content_type: str) -> None:
    assert "boundary" in problem(client.post(STUDIES, data=b"x", content_type=content_type), 400)


def test_what_came_whole_before_a_truncation_stays_and_is_told(
    client: FlaskClient, archive: Archive
) -> None:
    uids = [samples.new_uid(), samples.new_uid()]
    data, content_type = stow_body(*[samples.small(SOPInstanceUID=uid) for uid in uids])
    response = client.post(STUDIES, data=data[:-100], content_type=content_type)
    assert "closing boundary" in problem(response, 400)
    result = response.get_json()["result"]
    assert values(result[STORED]["Value"], "00081155") == uids[:1]
    assert stored_objects(archive) == 1


class Breaking(io.RawIOBase):
    """A connection that gives `data` and then breaks."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if not self._rest:
            raise ConnectionResetError("gone")
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("content_type", [STOW, "application/dicom"])
def test_a_client_gone_inside_an_instance_leaves_nothing(
    client: FlaskClient, archive: Archive, content_type: str
) -> None:
    file = samples.ct()
    data = stow_body(file)[0] if content_type == STOW else file
    response = client.post(
        STUDIES,
        content_type=content_type,
        environ_overrides={
            "wsgi.input": Breaking(data[: len(file) // 2]),
            "wsgi.input_terminated": True,
        },
    )
    problem(response, 400)
    assert stored_objects(archive) == 0
    assert archive.spooled() == []


def test_a_single_instance_shorter_than_announced_leaves_nothing(
    client: FlaskClient, archive: Archive
) -> None:
    file = samples.small()
    response = client.post(
        STUDIES,
        input_stream=io.BytesIO(file[:-10]),
        content_type="application/dicom",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(file))},
    )
    problem(response, 400)
    assert stored_objects(archive) == 0


def test_a_body_without_length(client: FlaskClient) -> None:
    data, content_type = stow_body(samples.small())
    response = client.post(
        STUDIES,
        content_type=content_type,
        environ_overrides={
            "wsgi.input": io.BytesIO(data),
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
        },
    )
    assert response.status_code == 200, response.text


@pytest.fixture
def full(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Errors that the storage raises, one for each put, then none."""
    errors: list[Exception] = []
    put = archive.backend.put

    def failing(*args: object, **kwargs: object) -> object:
        if errors:
            raise errors.pop(0)
        return put(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(archive.backend, "put", failing)
    return errors


@pytest.mark.parametrize(
    ("error", "status"),
    [(BackendFull("no room left"), 507), (BackendUnavailable("no answer"), 503)],
)
def test_a_storage_that_cannot_keep_anything_now(
    archive: Archive, client: FlaskClient, error: Exception, status: int, full: list[Exception]
) -> None:
    uid = samples.new_uid()
    full.append(error)
    data, content_type = stow_body(samples.small(SOPInstanceUID=uid))
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == status
    assert response.headers["Retry-After"]
    (item,) = response.get_json()[FAILED]["Value"]
    assert item["00081155"]["Value"] == [uid]
    assert item["00081197"]["Value"] == [0xA700]
    assert client.post(STUDIES, data=data, content_type=content_type).status_code == 200


def test_after_an_outage_the_rest_of_a_request_is_not_tried(
    archive: Archive, client: FlaskClient, full: list[Exception]
) -> None:
    full += [BackendUnavailable("no answer")] * 50
    data, content_type = stow_body(*[samples.small() for _ in range(50)])
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == 503
    assert stored_objects(archive) == 0
    assert (
        len(response.get_json()[FAILED]["Value"]) + len(response.get_json()[OTHERS]["Value"]) == 50
    )
    assert len(full) >= 50 - 2 * WINDOW


def test_many_empty_parts_are_refused_without_being_looked_at(client: FlaskClient) -> None:
    data, content_type = stow_body(*[b""] * 10_000)
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert response.status_code == 409
    assert len(response.get_json()[OTHERS]["Value"]) == 10_000


def test_a_flood_of_bad_parts_is_read_no_further(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reception, "MAX_FAILURES", 50)
    data, content_type = stow_body(samples.small(), *[b""] * 100, samples.small())
    response = client.post(STUDIES, data=data, content_type=content_type)
    assert "more than 50 parts" in problem(response, 400)
    result = response.get_json()["result"]
    assert len(result[STORED]["Value"]) == 1
    assert len(result[OTHERS]["Value"]) == 51
    assert len(client.get(f"{ROOT}/instances").get_json()) == 1
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len([line for line in lines if "instance not stored" in line]) == reception.MAX_LOGGED
    assert f"{51 - reception.MAX_LOGGED} more instances" in " ".join(lines)
