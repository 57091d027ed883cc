"""The HTTP client of the comparison counts the bytes of an answer, however their end is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.benchmarks import raw_http
from tests.benchmarks.raw_http import RawHttp

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"
)
CLOSED = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, int]]:
    """A server that gives these answers on one connection, a byte at a time, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            with accepted:
                for answer in answers:
                    accepted.recv(65536)
                    for position in range(len(answer)):
                        accepted.send(answer[position : position + 1])

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[:2]
        thread.join()


def test_answers_of_every_form_are_counted_on_one_connection() -> None:
    request = raw_http.get("/", "*/*")
    with answering(LENGTH, CHUNKED, CLOSED) as address, RawHttp(address) as connection:
        assert [connection.ask(request).length for _ in range(3)] == [5, 8, 13]


def test_an_answer_that_breaks_off_is_a_failure() -> None:
    with (
        answering(LENGTH[:-1]) as address,
        RawHttp(address) as connection,
        pytest.raises(ConnectionError, match="broke off"),
    ):
        connection.ask(raw_http.get("/", "*/*"))


def test_a_rate_is_no_rate_when_an_answer_was_wrong() -> None:
    def ask(connection: RawHttp, _client: int, _number: int) -> None:
        raw_http.expect(connection.ask(raw_http.get("/", "*/*")), (204,))

    with answering(LENGTH) as address, pytest.raises(RuntimeError, match="status 200"):
        raw_http.rate(address, 1, 1, ask)
