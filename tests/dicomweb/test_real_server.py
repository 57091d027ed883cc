"""The gateway under gunicorn, with a real client and with clients that break off."""

from __future__ import annotations

import io
import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import Server, gunicorn
from vna.index.database import Database

pytestmark = pytest.mark.slow

STUDY = "1.2.3"


@pytest.fixture
def client(server: Server) -> DICOMwebClient:
    return DICOMwebClient(server.url)


def three() -> list[bytes]:
    return [
        samples.ct_at(
            STUDY,
            f"{STUDY}.{n % 2}",
            f"{STUDY}.{n % 2}.{n}",
            rows=64,
            columns=64,
            patient_name="Phantom^Big",
            InstanceNumber=str(n),
        )
        for n in (1, 2, 3)
    ]


def raw(dataset: object) -> bytes:
    """What a dataset is as a file."""
    data = io.BytesIO()
    dataset.save_as(data)  # type: ignore[attr-defined]
    return data.getvalue()


def test_a_client_stores_finds_and_gets_back(server: Server, client: DICOMwebClient) -> None:
    datasets = [dcmread(io.BytesIO(file)) for file in three()]
    answer = client.store_instances(datasets)
    assert len(answer.ReferencedSOPSequence) == 3
    assert "FailedSOPSequence" not in answer

    (study,) = client.search_for_studies(
        fuzzymatching=False,
        search_filters={"PatientName": "*phantom*"},
        fields=["00080060", "00081030"],
    )
    assert study["0020000D"]["Value"] == [STUDY]
    assert study["00201208"]["Value"] == [3]
    assert len(client.search_for_series(STUDY)) == 2
    assert len(client.search_for_instances(STUDY)) == 3
    assert len(client.search_for_instances(STUDY, f"{STUDY}.1", limit=1, offset=1)) == 1
    assert len(client.search_for_instances(limit=1, get_remaining=True)) == 3

    got = list(client.retrieve_study(STUDY))
    assert sorted(map(raw, got)) == sorted(map(raw, datasets))
    assert len(list(client.iter_series(STUDY, f"{STUDY}.1"))) == 2
    one = client.retrieve_instance(
        STUDY, f"{STUDY}.1", f"{STUDY}.1.3", media_types=(("application/dicom", "*"),)
    )
    assert raw(one) == raw(datasets[2])
    assert len(client.retrieve_study_metadata(STUDY)) == 3
    assert len(client.retrieve_series_metadata(STUDY, f"{STUDY}.1")) == 2
    header = client.retrieve_instance_metadata(STUDY, f"{STUDY}.1", f"{STUDY}.1.1")
    (pixels,) = client.retrieve_bulkdata(header["7FE00010"]["BulkDataURI"])
    assert pixels == datasets[0].PixelData
    (frame,) = client.retrieve_instance_frames(STUDY, f"{STUDY}.1", f"{STUDY}.1.1", [1])
    assert frame == datasets[0].PixelData


def test_a_client_is_told_what_was_refused(client: DICOMwebClient) -> None:
    dataset = dcmread(io.BytesIO(three()[0]))
    with pytest.raises(requests.HTTPError) as error:
        client.store_instances([dataset], study_instance_uid="9.9.9")
    assert error.value.response is not None
    assert error.value.response.status_code == 409


def test_a_chunked_request_without_length(server: Server) -> None:
    data, content_type = stow_body(*three())
    chunks = (data[start : start + 1000] for start in range(0, len(data), 1000))
    response = requests.post(
        f"{server.url}/studies", data=chunks, headers={"Content-Type": content_type}, timeout=60
    )
    assert response.status_code == 200, response.text
    assert len(server.stored_files()) == 3


def test_the_next_request_comes_on_the_same_connection(server: Server) -> None:
    data, content_type = stow_body(*three())
    with requests.Session() as session:
        for _ in range(3):
            headers = {"Content-Type": content_type}
            response = session.post(f"{server.url}/studies", data=data, headers=headers, timeout=60)
            assert response.status_code == 200
            assert len(session.get(f"{server.url}/studies", timeout=60).json()) == 1
        headers = {"Content-Type": "multipart/related; boundary=other"}
        broken = session.post(f"{server.url}/studies", data=data, headers=headers, timeout=60)
        assert broken.status_code == 400
        refused = session.post(f"{server.url}/studies", data=data, timeout=60)
        assert refused.status_code == 415
        assert session.get(f"{server.url}/studies", timeout=60).status_code == 200


def request_head(content_type: str, *headers: str) -> bytes:
    lines = [
        "POST /dicom-web/studies HTTP/1.1",
        "Host: x",
        f"Content-Type: {content_type}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def send_and_leave(server: Server, data: bytes) -> bytes:
    """What the server answers to a client that stops sending."""
    with server.connect() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize("is_chunked", [True, False])
@pytest.mark.parametrize("is_multipart", [True, False])
def test_a_client_gone_in_mid_instance_leaves_nothing(
    server: Server, is_chunked: bool, is_multipart: bool
) -> None:
    file = samples.ct()
    body, content_type = stow_body(file) if is_multipart else (file, "application/dicom")
    if is_chunked:
        data = request_head(content_type, "Transfer-Encoding: chunked")
        data += f"{len(body):x}\r\n".encode() + body[: len(body) // 2]
    else:
        data = request_head(content_type, f"Content-Length: {len(body)}") + body[: len(body) // 2]
    answer = send_and_leave(server, data)
    assert answer.startswith(b"HTTP/1.1 400") or not answer
    assert requests.get(f"{server.url}/studies", timeout=60).json() == []
    assert server.stored_files() == []
    assert server.spooled_files() == []


def test_what_came_whole_before_a_client_left_stays(server: Server) -> None:
    body, content_type = stow_body(*three())
    data = request_head(content_type, f"Content-Length: {len(body)}") + body[: len(body) - 100]
    answer = send_and_leave(server, data)
    assert answer.startswith(b"HTTP/1.1 400")
    result = json.loads(answer.partition(b"\r\n\r\n")[2])["result"]
    assert len(result["00081199"]["Value"]) == 2
    assert len(requests.get(f"{server.url}/instances", timeout=60).json()) == 2


def test_a_very_long_list_of_uids_filters(server: Server, client: DICOMwebClient) -> None:
    client.store_instances([dcmread(io.BytesIO(file)) for file in three()])
    uids = ",".join([f"1.2.840.99999.{n:030d}".replace(".0", ".9") for n in range(1000)])
    nothing = requests.get(f"{server.url}/studies?StudyInstanceUID={uids}", timeout=60)
    assert (nothing.status_code, nothing.json()) == (200, [])
    one = requests.get(f"{server.url}/studies?StudyInstanceUID={uids},{STUDY}", timeout=60)
    assert len(one.json()) == 1


def test_many_clients_at_once(server: Server) -> None:
    def store(_: int) -> int:
        data, content_type = stow_body(samples.small(), samples.small())
        headers = {"Content-Type": content_type}
        url = f"{server.url}/studies"
        return requests.post(url, data=data, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(store, range(64))) == {200}
    assert len(requests.get(f"{server.url}/studies?limit=1000", timeout=60).json()) == 128


def test_an_answer_is_streamed_to_a_client_that_leaves_early(server: Server) -> None:
    data, content_type = stow_body(*[samples.ct(study_instance_uid=STUDY) for _ in range(8)])
    url, headers = f"{server.url}/studies", {"Content-Type": content_type}
    assert requests.post(url, data=data, headers=headers, timeout=60).status_code == 200
    for _ in range(12):
        with requests.get(f"{url}/{STUDY}", stream=True, timeout=60) as response:
            assert next(response.iter_content(1000))
    assert requests.get(f"{server.url}/studies", timeout=60).status_code == 200


def test_a_request_in_flight_is_finished_before_the_end(own_server: Server) -> None:
    server = own_server
    body, content_type = stow_body(*three())
    with server.connect() as connection:
        head = request_head(content_type, f"Content-Length: {len(body)}", "Expect: 100-continue")
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        server.process.send_signal(signal.SIGTERM)
        connection.sendall(body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200")
    assert server.process.wait(30) == 0
    assert len(server.stored_files()) == 3


def test_metrics_of_all_workers(database: Database, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    variables = {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    with gunicorn(database.url, tmp_path / "data", workers=2, variables=variables) as server:
        ready = threading.Barrier(4)

        def ask(_: int) -> None:
            with requests.Session() as session:
                ready.wait(60)
                for _ in range(10):
                    assert session.get(f"{server.url}/studies", timeout=60).status_code == 200

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(4)))
        text = requests.get(server.url.replace("/dicom-web", "/metrics"), timeout=60).text
    assert 'vna_http_seconds_count{route="/dicom-web/studies",status="200"} 40.0' in text
