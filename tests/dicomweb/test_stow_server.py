"""Store requests to the gateway under gunicorn: connections that go on, bodies in every framing, large requests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest
import requests

from tests import samples
from tests.dicomweb.multiparts import STOW, stow_body
from tests.dicomweb.servers import Server
from tests.peers import usage

pytestmark = pytest.mark.slow

JSON = "application/dicom+json"
STORED = "00081199"


def post(*files: bytes, length: int | None = None) -> bytes:
    """A whole request as it goes over the line."""
    body, content_type = stow_body(*files)
    head = (
        "POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def answers(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """The next `count` answers of a connection: status and body."""
    found: list[tuple[int, bytes]] = []
    with connection.makefile("rb") as stream:
        for _ in range(count):
            status = int(stream.readline().split()[1])
            length = 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            found.append((status, stream.read(length)))
    return found


def test_requests_one_after_the_other_on_one_connection(server: Server) -> None:
    with server.connect() as connection:
        for number in range(3):
            connection.sendall(post(*[samples.ct(rows=64 * number or 8)] * (number + 1)))
            ((status, body),) = answers(connection, 1)
            assert status == 200, body
            assert len(json.loads(body)[STORED]["Value"]) == number + 1


def test_requests_that_do_not_wait_for_answers(server: Server) -> None:
    get = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(post(samples.ct()) + get + post(samples.small()) + get)
        assert [status for status, _ in answers(connection, 4)] == [200, 200, 200, 200]


def test_an_answer_before_the_end_of_a_broken_body(server: Server) -> None:
    body = b"--b o\r\nno header\r\n\r\n" + bytes(10 * 2**20)
    response = requests.post(
        f"{server.url}/studies", data=body, headers={"Content-Type": STOW}, timeout=60
    )
    assert response.status_code == 400
    assert requests.get(f"{server.url}/studies", timeout=60).status_code == 200


def test_a_boundary_that_never_comes_is_given_up_early(server: Server) -> None:
    with server.connect() as connection:
        head, _, _ = post(length=10**12).partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n" + b"x" * 100_000)
        ((status, body),) = answers(connection, 1)
    assert status == 400
    assert b"no boundary" in body


def test_a_body_shorter_than_announced(server: Server) -> None:
    request = post(samples.small(), samples.small())
    with server.connect() as connection:
        connection.sendall(request[:-200])
        connection.shutdown(socket.SHUT_WR)
        ((status, body),) = answers(connection, 1)
    assert status == 400
    assert len(json.loads(body)["result"][STORED]["Value"]) == 1
    assert len(server.stored_files()) == 1
    assert server.spooled_files() == []


def test_a_body_longer_than_announced_breaks_the_connection_alone(server: Server) -> None:
    file = samples.small()
    body, _ = stow_body(file)
    with server.connect() as connection:
        connection.sendall(post(file, length=len(body)) + b"garbage in front of\r\n\r\n")
        assert [status for status, _ in answers(connection, 2)] == [200, 400]


def known(server: Server) -> dict[str, str]:
    """SOP Instance UID -> URL of what is stored."""
    answer = requests.get(f"{server.url}/instances", headers={"Accept": JSON}, timeout=60)
    items = answer.json() if answer.content else []
    return {item["00080018"]["Value"][0]: item["00081190"]["Value"][0] for item in items}


def test_a_worker_that_is_killed_amid_a_request_leaves_whole_instances_only(
    own_server: Server,
) -> None:
    server = own_server
    files = [samples.ct(rows=64) for _ in range(40)]
    request = post(*files)
    assert known(server) == {}
    (worker,) = (pid for pid in usage.tree([server.process.pid]) if pid != server.process.pid)
    with server.connect() as connection:
        connection.sendall(request[: len(request) * 3 // 4])
        while len(before := known(server)) < 10:
            pass
        os.kill(worker, signal.SIGKILL)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    after = known(server)
    assert before.items() <= after.items()
    for url in after.values():
        accept = {"Accept": "application/dicom; transfer-syntax=*"}
        assert requests.get(url, headers=accept, timeout=60).content in files
    with server.connect() as connection:
        connection.sendall(request)
        ((status, body),) = answers(connection, 1)
    assert status == 200
    assert len(json.loads(body)[STORED]["Value"]) == len(files) == len(known(server))


def test_an_upload_in_chunks(server: Server) -> None:
    body, content_type = stow_body(samples.ct(), samples.small())
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    response = requests.post(
        f"{server.url}/studies", data=pieces, headers={"Content-Type": content_type}, timeout=60
    )
    assert len(response.json()[STORED]["Value"]) == 2


def test_metadata_with_pixel_data_in_chunks(server: Server) -> None:
    pixels = bytes(range(256)) * 8192
    attributes = {
        "00080016": {"vr": "UI", "Value": [samples.SECONDARY_CAPTURE]},
        "00080018": {"vr": "UI", "Value": [samples.new_uid()]},
        "0020000D": {"vr": "UI", "Value": [samples.new_uid()]},
        "0020000E": {"vr": "UI", "Value": [samples.new_uid()]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "pixels"},
    }

    def body() -> Iterator[bytes]:
        yield f"--b\r\nContent-Type: {JSON}\r\n\r\n{json.dumps([attributes])}\r\n--b\r\n".encode()
        yield b"Content-Type: application/octet-stream\r\nContent-Location: pixels\r\n\r\n"
        yield from (pixels[start : start + 65_537] for start in range(0, len(pixels), 65_537))
        yield b"\r\n--b--\r\n"

    content_type = f'multipart/related; type="{JSON}"; boundary=b'
    response = requests.post(
        f"{server.url}/studies", data=body(), headers={"Content-Type": content_type}, timeout=60
    )
    assert response.status_code == 202, response.text  # its size is not told: a warning
    (item,) = response.json()[STORED]["Value"]
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    stored = requests.get(item["00081190"]["Value"][0], headers=accept, timeout=60).content
    assert stored.endswith(pixels)
    assert server.spooled_files() == []


def test_memory_does_not_grow_with_the_request(own_server: Server) -> None:
    """600 small instances and 256 MB of large ones: what the worker holds is bounded."""
    server = own_server
    warm = requests.post(
        f"{server.url}/studies",
        data=stow_body(*[samples.ct() for _ in range(20)])[0],
        headers={"Content-Type": STOW},
        timeout=60,
    )
    assert warm.status_code == 200
    before = usage.pss_bytes([server.process.pid])
    head = b"\r\n--b o\r\nContent-Type: application/dicom\r\n\r\n"

    def body() -> Iterator[bytes]:
        for _ in range(600):
            yield head + samples.small()
        for _ in range(8):
            yield head + samples.ct(rows=4096, columns=4096)
        yield b"\r\n--b o--\r\n"

    response = requests.post(
        f"{server.url}/studies", data=body(), headers={"Content-Type": STOW}, timeout=240
    )
    assert response.status_code == 200, response.text[:500]
    assert len(response.json()[STORED]["Value"]) == 608
    assert usage.pss_bytes([server.process.pid]) - before < 48 * 2**20
