"""What HTTP asks of a server whatever it serves (RFC 9110, RFC 9112), of a whole archive over sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.e2e.process import ArchiveProcess, running_archive

pytestmark = pytest.mark.slow

STUDIES = "/dicom-web/studies"
LAST = "Host: a\r\nConnection: close\r\n"
CHUNKED = f"POST {STUDIES} HTTP/1.1\r\nContent-Type: application/dicom\r\nTransfer-Encoding: "
LARGE = 32 * 2**20


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    environment = {"VNA__WEB__READ_TIMEOUT": "3", "VNA__LOG__LEVEL": "warning"}
    with running_archive(tmp_path_factory.mktemp("http") / "data", environment) as process:
        yield process


def connect(archive: ArchiveProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", archive.http_port), timeout=60)


def rest(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def ask(archive: ArchiveProcess, *request: str | bytes) -> bytes:
    """The answer to a raw request, after which the archive has to close."""
    with connect(archive) as connection:
        for piece in request:
            connection.sendall(piece.encode() if isinstance(piece, str) else piece)
        return rest(connection)


def status(answer: bytes) -> int:
    """The status of an answer; each refusal is a problem document with what every answer carries."""
    head, _, body = answer.partition(b"\r\n\r\n")
    found = int(head[9:12])
    for name in (b"\r\nDate: ", b"\r\nX-Content-Type-Options: nosniff", b"\r\nX-Correlation-ID: "):
        assert name in head, head
    assert b"\r\nCache-Control: " in head
    if found >= 400 and body:
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == found
    return found


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (f"GET {STUDIES} HTTP/1.1\r\nConnection: close\r\n", 400),  # no Host: RFC 9112 3.2
        (f"GET {STUDIES} HTTP/1.1\r\nHost: b\r\n{LAST}", 400),
        (f"GET {STUDIES} HTTP/1.0\r\n", 200),
        (f"GET {STUDIES} HTTP/1.2\r\n{LAST}", 200),
        (f"GET {STUDIES} HTTP/3.0\r\n{LAST}", 400),
        (f"GET {STUDIES}\r\n", 400),
        ("PRI * HTTP/2.0\r\n", 400),
        (f"GET http://evil.example{STUDIES} HTTP/1.1\r\n{LAST}", 200),
        (f"GET /{STUDIES} HTTP/1.1\r\n{LAST}", 200),
        (f"GET {STUDIES[1:]} HTTP/1.1\r\n{LAST}", 400),
        (f"OPTIONS * HTTP/1.1\r\n{LAST}", 204),
        (f"TRACE {STUDIES} HTTP/1.1\r\n{LAST}", 405),
        (f"PATCH {STUDIES} HTTP/1.1\r\n{LAST}", 405),
        (f"CONNECT a:443 HTTP/1.1\r\n{LAST}", 404),
        (f"get {STUDIES} HTTP/1.1\r\n{LAST}", 400),
        (f"GET {STUDIES} HTTP/1.1\r\nX : y\r\n{LAST}", 400),
        (f"GET {STUDIES} HTTP/1.1\r\nX: y\r\n z\r\n{LAST}", 400),
        (f"GET {STUDIES} HTTP/1.1\r\nX: y\0\r\n{LAST}", 400),
        (f"GET {STUDIES} HTTP/1.1\r\nX: y\rz\r\n{LAST}", 400),
        (f"\r\nGET {STUDIES} HTTP/1.1\r\n{LAST}", 200),
        (
            f"GET {STUDIES} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n",
            200,
        ),
        (f"POST {STUDIES} HTTP/1.1\r\nExpect: miracles\r\n{LAST}", 417),
    ],
)
def test_heads(archive: ArchiveProcess, head: str, expected: int) -> None:
    answer = ask(archive, head, "\r\n")
    assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 2"))
    assert status(answer) == expected


@pytest.mark.parametrize("end", ["\n\n", "\n\r\n", "\r\n\n"])
def test_line_feeds_alone_end_nothing(archive: ArchiveProcess, end: str) -> None:
    answer = ask(archive, f"GET {STUDIES} HTTP/1.1\nHost: a\nConnection: close{end}")
    assert status(answer) == 400


def test_a_head_that_never_ends_is_answered(archive: ArchiveProcess) -> None:
    assert status(ask(archive, f"GET {STUDIES} HTTP/1.1\r\nHost: a\r\nX-A: ")) == 408


@pytest.mark.parametrize(
    ("coding", "expected"),
    [
        *(("chunked", 200), ("Chunked", 200), ("gzip, chunked", 501), ("x", 501), ("", 501)),
        *(("gzip", 400), ("identity", 400), ("chunked, chunked", 400), ("chunked, identity", 400)),
    ],
)
def test_transfer_codings(archive: ArchiveProcess, coding: str, expected: int) -> None:
    file = samples.small()
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(file), file)
    assert status(ask(archive, f"{CHUNKED}{coding}\r\n{LAST}\r\n", body)) == expected


def test_no_request_hides_behind_another(archive: ArchiveProcess) -> None:
    hidden = f"GET /healthz HTTP/1.1\r\n{LAST}\r\n"
    chunks = f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n"
    for head in (
        f"{CHUNKED}chunked\r\nContent-Length: {len(chunks)}\r\n{LAST}\r\n",
        f"{CHUNKED}chunked\r\nTransfer-Encoding: identity\r\n{LAST}\r\n",
        f"{CHUNKED}\x0bchunked\r\n{LAST}\r\n",
        f"POST {STUDIES} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n{LAST}\r\n",
        f"POST {STUDIES} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        answer = ask(archive, head, chunks)
        assert status(answer) in {400, 501}
        assert answer.count(b"HTTP/1.1 ") == 1


def test_a_connection_goes_on_after_refusals(archive: ArchiveProcess) -> None:
    requests = [
        "GET /dicom-web/nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET {STUDIES}?limit=x HTTP/1.1\r\nHost: a\r\n\r\n",
        f"POST {STUDIES} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        f"GET {STUDIES} HTTP/1.1\r\nHost: a\r\nAccept: image/png\r\n\r\n",
        f"GET /healthz HTTP/1.1\r\n{LAST}\r\n",
    ]
    answer = ask(archive, "".join(requests))
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [404, 400, 415, 200, 406, 200]


@pytest.mark.parametrize(
    ("method", "path", "kind", "expected"),
    [
        ("POST", STUDIES, "text/plain", 415),
        ("PUT", STUDIES, "application/dicom", 405),
        ("POST", "/dicom-web/nothing", "application/dicom", 404),
        ("POST", STUDIES, 'multipart/related; type="application/dicom"', 400),
        ("POST", STUDIES, 'multipart/related; type="application/dicom"; boundary=b', 400),
    ],
)
def test_who_still_sends_gets_the_answer(
    archive: ArchiveProcess, method: str, path: str, kind: str, expected: int
) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {LARGE}"
    answer = ask(archive, head, "\r\n\r\n", bytes(LARGE))
    assert status(answer) == expected
    assert b"\r\nConnection: close\r\n" in answer


def test_only_a_body_that_is_wanted_is_asked_for(archive: ArchiveProcess) -> None:
    body, kind = stow_body(samples.small())
    head = (
        f"POST {STUDIES} HTTP/1.1\r\n{LAST}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n"
    )
    with connect(archive) as connection:
        connection.sendall(f"{head}Content-Type: {kind}\r\n\r\n".encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert status(rest(connection)) == 200
    refused = ask(archive, head.replace("Connection: close\r\n", "Content-Type: a/b\r\n"), "\r\n")
    assert status(refused) == 415
    assert b"\r\nConnection: close\r\n" in refused
