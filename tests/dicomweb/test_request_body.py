"""Bodies as they come from a socket: whole, in pieces, broken off, too slow, with the next request behind them."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

from dicomweb.multipart import MultipartError, TruncatedBody
from dicomweb.request_body import GRACE, RequestBody, SlowBody

Sockets = tuple[socket.socket, socket.socket]


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(30)
        yield ours, theirs


class Clock:
    """Moves on when something is read."""

    def __init__(self, step: float = 0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def parsed(sockets: Sockets) -> tuple[Any, Any]:
    """The parser of a connection, and its next request."""
    parser = RequestParser(Config(), sockets[0], ("127.0.0.1", 1))
    return parser, next(parser)


def body_of(request: Any, rate: int = 0, clock: Callable[[], float] = Clock()) -> RequestBody:  # noqa: B008
    return RequestBody({"wsgi.input": request.body}, rate, clock)


def read(body: RequestBody, size: int = 7) -> bytes:
    found, memory = b"", memoryview(bytearray(size))
    while count := body.readinto(memory):
        found += memory[:count]
    return found


def head(length: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length


def test_a_body_of_known_length_and_the_request_behind_it(sockets: Sockets) -> None:
    sockets[1].sendall(head(20) + b"x" * 20 + head(3) + b"abc")
    parser, request = parsed(sockets)
    body = body_of(request)
    assert read(body) == b"x" * 20
    assert body.received == 20
    assert body.readinto(memoryview(bytearray(5))) == 0
    assert read(body_of(next(parser))) == b"abc"


def test_a_body_that_comes_later(sockets: Sockets) -> None:
    sockets[1].sendall(head(10) + b"12")
    body = body_of(parsed(sockets)[1])
    memory = memoryview(bytearray(100))
    assert body.readinto(memory) == 2
    sockets[1].sendall(b"345")
    assert body.readinto(memory) == 3
    sockets[1].sendall(b"67890GET")
    assert body.readinto(memory) == 5
    assert body.readinto(memory) == 0


def test_a_chunked_body(sockets: Sockets) -> None:
    sockets[1].sendall(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    )
    assert read(body_of(parsed(sockets)[1])) == b"hello world"


def test_malformed_chunks(sockets: Sockets) -> None:
    sockets[1].sendall(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\nhello\r\n"
    )
    with pytest.raises(MultipartError, match="chunked"):
        read(body_of(parsed(sockets)[1]))


def test_a_client_that_goes_leaves_a_connection_that_is_not_used_again(sockets: Sockets) -> None:
    sockets[1].sendall(head(10) + b"12")
    parser, request = parsed(sockets)
    sockets[1].close()
    with pytest.raises(TruncatedBody, match="broke off"):
        read(body_of(request))
    assert parser.finish_body() is False


def test_a_client_that_falls_silent(sockets: Sockets) -> None:
    sockets[1].sendall(head(10) + b"12")
    _, request = parsed(sockets)
    sockets[0].settimeout(0.01)
    with pytest.raises(TruncatedBody, match="stalled"):
        read(body_of(request))


def test_a_client_that_trickles(sockets: Sockets) -> None:
    """A byte every five seconds: refused once the grace is over, although something always comes."""
    sockets[1].sendall(head(1000) + b"x" * 1000)
    parser, request = parsed(sockets)
    body = body_of(request, rate=10, clock=Clock(step=5))
    memory, reads = memoryview(bytearray(1)), 0
    with pytest.raises(SlowBody, match="too slow"):
        while body.readinto(memory):
            reads += 1
    assert reads == GRACE / 5
    assert parser.finish_body() is False


def test_a_slow_client_above_the_rate_may_take_its_time(sockets: Sockets) -> None:
    sockets[1].sendall(head(1000) + b"x" * 1000)
    clock = Clock(step=5)
    assert len(read(body_of(parsed(sockets)[1], rate=1, clock=clock))) == 1000
    assert clock.now > 10 * GRACE


def test_other_servers_and_tests_give_plain_streams() -> None:
    assert read(RequestBody({"wsgi.input": io.BytesIO(b"plain")}, 0)) == b"plain"
