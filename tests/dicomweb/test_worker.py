"""The gateway's own gunicorn worker: clients that stall, and requests that are no HTTP."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import Server, gunicorn
from vna.index.database import Database

pytestmark = pytest.mark.slow

HALF_HEAD = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: "
STALLED_BODY = (
    b"POST /dicom-web/studies HTTP/1.1\r\nHost: a\r\n"
    b"Content-Type: application/dicom\r\nContent-Length: 100000\r\n\r\nabc"
)
CHUNKED = (
    b"POST /dicom-web/studies HTTP/1.1\r\nHost: a\r\n"
    b"Content-Type: application/dicom\r\nTransfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(scope="module")
def impatient(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("impatient")
    variables = {"VNA__WEB__READ_TIMEOUT": "3"}
    with gunicorn(database_url, folder / "data", variables=variables) as running:
        assert healthy(running, within=60)
        yield running


@pytest.fixture
def server(impatient: Server, database: Database) -> Iterator[Server]:
    del database  # emptied after this test
    yield impatient
    impatient.forget()


def healthy(server: Server, within: float) -> bool:
    url = server.url.replace("/dicom-web", "/healthz")
    return requests.get(url, timeout=within).status_code == 200


@contextmanager
def holding(server: Server, data: bytes, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(count)]
        for connection in connections:
            connection.sendall(data)
        yield connections


def until_answered(url: str) -> requests.Response:
    """The answer of a gateway that may be too busy at first; the client comes again as it is told."""
    for _ in range(10):
        response = requests.get(url, timeout=60)
        if response.status_code != 503:
            break
        time.sleep(float(response.headers["Retry-After"]))
    return response


def everything(connection: socket.socket) -> bytes:
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def ask(server: Server, data: bytes) -> tuple[bytes, bytes]:
    """Status line and body of the answer to a raw request."""
    with server.connect() as connection:
        connection.sendall(data)
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("data", [b"", HALF_HEAD, STALLED_BODY], ids=["silent", "head", "body"])
def test_a_hundred_stalled_clients_stop_nobody(server: Server, data: bytes) -> None:
    with holding(server, data, 100):
        for _ in range(5):
            assert healthy(server, within=2)
        assert requests.get(f"{server.url}/studies", timeout=2).status_code == 200


def test_an_upload_behind_stalled_ones_has_its_turn(server: Server) -> None:
    body, content_type = stow_body(samples.small())
    with holding(server, STALLED_BODY, 20):
        response = requests.post(
            f"{server.url}/studies", data=body, headers={"Content-Type": content_type}, timeout=60
        )
    assert response.status_code in {200, 503}
    again = requests.post(
        f"{server.url}/studies", data=body, headers={"Content-Type": content_type}, timeout=60
    )
    assert again.status_code == 200


def test_half_a_head_is_given_up(server: Server) -> None:
    with holding(server, HALF_HEAD, 1) as (connection,):
        started = time.monotonic()
        answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        assert 2 < time.monotonic() - started < 10


def test_a_stalled_body_is_given_up_and_nothing_kept(server: Server) -> None:
    with holding(server, STALLED_BODY, 1) as (connection,):
        started = time.monotonic()
        assert everything(connection).startswith(b"HTTP/1.1 400")
        assert 2 < time.monotonic() - started < 15
    assert server.spooled_files() == []


def test_clients_that_do_not_read_stop_no_probe(server: Server) -> None:
    body, content_type = stow_body(
        *[samples.ct(study_instance_uid="1.2.3", rows=1024, columns=1024) for _ in range(8)]
    )
    headers = {"Content-Type": content_type}
    requests.post(f"{server.url}/studies", data=body, headers=headers, timeout=60)
    wanted = b"GET /dicom-web/studies/1.2.3 HTTP/1.1\r\nHost: a\r\n\r\n"
    with holding(server, wanted, 40):
        for _ in range(5):
            assert healthy(server, within=2)
        crowded = requests.get(f"{server.url}/studies", timeout=60)
        assert crowded.status_code == 200 or int(crowded.headers["Retry-After"]) > 0
    assert until_answered(f"{server.url}/studies").status_code == 200


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
    head, body = ask(server, (one + b"\r\n") * 3 + one + b"Connection: close\r\n\r\n")
    assert (head + body).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /dicom-web/studies?PatientName=SECRET DOE HTTP/1.1", 400),
        ("GET /dicom-web/studies?PatientName=SECRET HTTP/9.9", 400),
        ("GET /dicom-web/studies?PatientName=SECRET\x01 HTTP/1.1", 400),
        ("SECRET", 400),
        ("GET /?" + "SECRET" * 20000 + " HTTP/1.1", 414),
        ("GET /dicom-web/studies HTTP/1.1\r\nX SECRET: y", 400),
        ("GET /dicom-web/studies HTTP/1.1\r\nSECRET", 400),
        ("GET /dicom-web/studies HTTP/1.1\r\nX: " + "SECRET" * 3000, 431),
        ("POST /dicom-web/studies HTTP/1.1\r\nTransfer-Encoding: SECRET", 501),
    ],
)
def test_what_is_no_request_is_refused_without_an_echo(
    server: Server, request_line: str, status: int
) -> None:
    said_before = len(server.log.read_text())
    head, body = ask(server, request_line.encode() + b"\r\nHost: a\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert b"SECRET" not in body
    logged = server.log.read_text()[said_before:]
    assert "SECRET" not in logged
    assert problem["correlation_id"] or logged


def test_a_name_in_raw_utf8_is_searched_for(server: Server) -> None:
    body, content_type = stow_body(
        samples.small(PatientName="Müller".encode(), SpecificCharacterSet="ISO_IR 192")
    )
    headers = {"Content-Type": content_type}
    stored = requests.post(f"{server.url}/studies", data=body, headers=headers, timeout=60)
    assert stored.status_code == 200
    query = (
        "GET /dicom-web/studies?PatientName=Müller HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    _, found = ask(server, query.encode())
    assert found.count(b"00201208") == 1


@pytest.mark.parametrize("chunk", [b"zz\r\nabc", b"3\r\nabcdef\r\n", b"5;\r\x01\r\nabc", b"-3\r\n"])
def test_malformed_chunks_are_the_clients_fault(server: Server, chunk: bytes) -> None:
    head, body = ask(server, CHUNKED + chunk + b"\r\n0\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["status"] == 400
    assert server.spooled_files() == []


def test_the_client_does_not_say_where_the_gateway_is_mounted(server: Server) -> None:
    for name in ("SCRIPT_NAME: /dicom-web", "SCRIPT-NAME: /foo", "PATH_INFO: /healthz"):
        head, _ = ask(
            server,
            f"GET /dicom-web/studies HTTP/1.1\r\nHost: a\r\n{name}\r\nConnection: close\r\n\r\n".encode(),
        )
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
