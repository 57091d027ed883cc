"""Clients that go away: what was begun for them is stopped, what they sent is kept."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

import psycopg
import pytest
import requests

from dicomweb.hangups import Hangups
from tests import samples
from tests.dicomweb.multiparts import stow_body
from tests.dicomweb.servers import Server
from vna.index.database import Database
from vna.interrupts import Interrupt

STUDY = "1.2.3"


def until(is_so: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it becomes so in time; what happens in another process can't be waited for otherwise."""
    deadline = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


# --- without a server -------------------------------------------------------------------------------


def test_only_the_work_for_who_has_gone_is_called_off() -> None:
    hangups, interrupts = Hangups(), [Interrupt(), Interrupt(), Interrupt()]
    pairs = [socket.socketpair() for _ in interrupts]
    for (ours, _), interrupt in zip(pairs, interrupts, strict=True):
        hangups.watch(ours, interrupt)
    hangups.notice()
    assert not any(interrupt.is_set for interrupt in interrupts)
    pairs[0][1].close()
    hangups.forget(pairs[1][0])
    pairs[1][1].close()
    hangups.notice()
    assert until(lambda: interrupts[0].is_set)
    assert not interrupts[1].is_set
    assert not interrupts[2].is_set
    for ours, theirs in pairs:
        hangups.forget(ours)
        ours.close()
        theirs.close()
    hangups.close()


def test_a_client_that_had_gone_before_is_noticed() -> None:
    hangups, interrupt = Hangups(), Interrupt()
    ours, theirs = socket.socketpair()
    theirs.close()
    hangups.watch(ours, interrupt)
    hangups.notice()
    assert until(lambda: interrupt.is_set)
    ours.close()
    hangups.close()


# --- with one ---------------------------------------------------------------------------------------


def store(server: Server, *files: bytes) -> None:
    body, content_type = stow_body(*files)
    headers = {"Content-Type": content_type}
    url = f"{server.url}/studies"
    assert requests.post(url, data=body, headers=headers, timeout=60).status_code == 200


def leave(connection: socket.socket, *, rudely: bool) -> None:
    if rudely:  # RST, as of a process that was killed with bytes unread
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def waits_for_a_lock(observer: psycopg.Connection[tuple[object, ...]]) -> bool:
    found = observer.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event_type = 'Lock'"
    ).fetchone()
    return found is not None and found[0] != 0


@pytest.mark.slow
@pytest.mark.parametrize("rudely", [False, True])
def test_a_query_for_nobody_is_cancelled(server: Server, database: Database, rudely: bool) -> None:
    store(server, samples.small(StudyInstanceUID=STUDY))
    with (
        psycopg.connect(database.url) as locker,
        psycopg.connect(database.url, autocommit=True) as observer,
    ):
        locker.execute("LOCK TABLE study IN ACCESS EXCLUSIVE MODE")
        connection = server.connect()
        connection.sendall(b"GET /dicom-web/studies HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until(lambda: waits_for_a_lock(observer))
        leave(connection, rudely=rudely)
        assert until(lambda: not waits_for_a_lock(observer))
        locker.rollback()
    assert requests.get(f"{server.url}/studies", timeout=60).status_code == 200


@pytest.mark.slow
def test_a_client_that_waits_is_served_however_long_it_takes(
    server: Server, database: Database
) -> None:
    store(server, samples.small(StudyInstanceUID=STUDY))
    with (
        psycopg.connect(database.url) as locker,
        psycopg.connect(database.url, autocommit=True) as observer,
        server.connect() as connection,
    ):
        locker.execute("LOCK TABLE study IN ACCESS EXCLUSIVE MODE")
        connection.sendall(b"GET /dicom-web/studies HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until(lambda: waits_for_a_lock(observer))
        locker.rollback()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.slow
def test_a_download_for_nobody_opens_no_more_objects(server: Server) -> None:
    files = [samples.ct(study_instance_uid=STUDY, rows=1024, columns=1024) for _ in range(40)]
    for start in range(0, 40, 10):
        store(server, *files[start : start + 10])
    wanted = b"GET /dicom-web/studies/1.2.3 HTTP/1.1\r\nHost: a\r\n\r\n"
    before = read_bytes(server)
    for rudely in (False, True):
        connection = server.connect()
        connection.sendall(wanted)
        assert connection.recv(1000)
        leave(connection, rudely=rudely)
    assert requests.get(f"{server.url}/studies", timeout=60).status_code == 200
    assert read_bytes(server) - before < 60 * 2**20


def read_bytes(server: Server) -> float:
    text = requests.get(server.url.replace("/dicom-web", "/metrics"), timeout=60).text
    lines = [
        line
        for line in text.splitlines()
        if line.startswith("vna_storage_bytes_total") and 'operation="read"' in line
    ]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@pytest.mark.slow
def test_three_hundred_slow_heads_hold_up_nobody(server: Server) -> None:
    connections = [server.connect() for _ in range(300)]
    for connection in connections:
        connection.sendall(b"GET /dicom-web/studies HTTP/1.1\r\nHost: a\r\nX: ")
    for _ in range(5):
        started = time.monotonic()
        assert requests.get(f"{server.url}/studies", timeout=10).status_code == 200
        assert time.monotonic() - started < 5
    for connection in connections:
        connection.sendall(b"y")
    assert requests.get(f"{server.url}/studies", timeout=10).status_code == 200
    for connection in connections:
        connection.close()


@pytest.mark.slow
def test_a_short_answer_is_one_piece(server: Server) -> None:
    store(server, samples.small(StudyInstanceUID=STUDY))
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b'{"status":"ok"}')


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /dicom-web/studies HTTP/1.1\r\nContent-Length: -1", 400),
        ("POST /dicom-web/studies HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", 400),
        ("POST /dicom-web/studies HTTP/1.1\r\nContent-Length: x", 400),
        (
            "POST /dicom-web/studies HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            400,
        ),
        ("GET /dicom-web/studies HTTP/1.1\r\nX: " + "y" * 300_000, 431),
        ("GET /dicom-web/studies HTTP/1.1" + "\r\nX: y" * 200, 431),
        ("GET /dicom-web/studies?a=" + "b" * 70_000 + " HTTP/1.1", 414),
        ("GET /dicom-web/nothing HTTP/1.1", 404),
        ("BREW /dicom-web/studies HTTP/1.1", 405),
        ("GET /dicom-web/studies HTTP/1.1\r\nAccept: image/png", 406),
        ("GET /dicom-web/studies HTTP/1.1\r\nHost: a b", 400),
    ],
)
def test_every_refusal_is_a_problem_document(server: Server, head: str, status: int) -> None:
    with server.connect() as connection:
        host = "" if "Host: " in head else "\r\nHost: a"
        connection.sendall(f"{head}{host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in answer
