"""The socket with patience: it waits as long as it may, and not for drips."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from vna.dimse.errors import ConnectionLost
from vna.dimse.transport import SLOWEST_RATE, Deadline, Patience, TimedOut, Transport


class CountingClock:
    """Patience for so many waits, however short they are."""

    def __init__(self, waits: int) -> None:
        self._waits = waits
        self.size = 0

    @property
    def remaining(self) -> float:
        return 20.0 if self._waits > 0 else 0.0

    def waited(self, seconds: float) -> None:
        self._waits -= 1

    def passed(self, size: int) -> None:
        self.size += size


@pytest.fixture
def pair() -> Iterator[tuple[Transport, socket.socket]]:
    ours, theirs = socket.socketpair()
    transport = Transport(ours)
    yield transport, theirs
    transport.close()
    theirs.close()


def test_what_is_there_is_received(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    assert transport.receive_now() is None
    theirs.sendall(b"abc")
    clock = CountingClock(1)
    data = transport.receive(clock)
    assert data is not None
    assert bytes(data) == b"abc"
    assert clock.size == 3


def test_a_closed_connection_is_empty(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    theirs.close()
    data = transport.receive(CountingClock(1))
    assert data is not None
    assert not data


def test_silence_ends_with_the_patience(pair: tuple[Transport, socket.socket]) -> None:
    with pytest.raises(TimedOut):
        pair[0].receive(Deadline(0.01))
    with pytest.raises(TimedOut):
        pair[0].receive(Patience(0.01))


def test_a_flood_does_not_outlive_a_deadline(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    theirs.sendall(b"abc")
    with pytest.raises(TimedOut):
        transport.receive(Deadline(-1))


def test_a_wake_from_elsewhere_ends_the_wait_once(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    transport.wake()
    assert transport.receive(CountingClock(1)) is None
    theirs.sendall(b"abc")
    assert transport.receive(CountingClock(1)) is not None


def test_a_shutdown_from_elsewhere_ends_the_wait(pair: tuple[Transport, socket.socket]) -> None:
    transport, _ = pair
    transport.shutdown()
    data = transport.receive(CountingClock(1))
    assert data is not None
    assert not data


def test_wake_and_shutdown_after_the_close_do_nothing(
    pair: tuple[Transport, socket.socket],
) -> None:
    transport, _ = pair
    transport.close()
    transport.wake()
    transport.shutdown()
    with pytest.raises(ConnectionLost):
        transport.receive_now()


def test_a_peer_that_does_not_read_exhausts_the_patience(
    pair: tuple[Transport, socket.socket],
) -> None:
    transport, _ = pair
    with pytest.raises(TimedOut):
        transport.send(((bytes(65536),) for _ in range(1000)), Patience(0.01))


def test_sending_to_nobody_is_a_lost_connection(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(ConnectionLost):
        transport.send([(b"abc",)] * 2, Patience(20))


def test_large_and_many_buffers_arrive_whole(pair: tuple[Transport, socket.socket]) -> None:
    transport, theirs = pair
    units = [(bytes((number % 256,)) * 6, bytes(number * 7)) for number in range(400)]
    expected = b"".join(header + body for header, body in units)
    received = bytearray()
    source = iter(units)

    def alternately() -> Iterator[tuple[bytes, bytes]]:
        """Read while it is sent: a socket pair holds less than all of it."""
        theirs.settimeout(0)
        for unit in source:
            yield unit
            try:
                received.extend(theirs.recv(2**20))
            except BlockingIOError:
                continue

    transport.send(alternately(), Patience(20))
    transport.shutdown()
    theirs.settimeout(20)
    while piece := theirs.recv(2**20):
        received += piece
    assert bytes(received) == expected


def test_patience_is_given_back_by_bytes_but_never_beyond_the_start() -> None:
    patience = Patience(10)
    patience.waited(4)
    assert patience.remaining == 6
    patience.passed(SLOWEST_RATE)
    assert patience.remaining == 7
    patience.passed(10**9)
    assert patience.remaining == 10


def test_a_byte_a_second_exhausts_patience() -> None:
    patience = Patience(10)
    drips = 0
    while patience.remaining > 0:
        patience.waited(1)
        patience.passed(1)
        drips += 1
    assert drips <= 11


def test_a_deadline_does_not_move() -> None:
    deadline = Deadline(10)
    before = deadline.remaining
    deadline.waited(5)
    deadline.passed(10**9)
    assert before - 5 < deadline.remaining <= before


def test_without_file_descriptors_the_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()

    def exhausted() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", exhausted)
    with pytest.raises(ConnectionLost, match="Too many open files"):
        Transport(ours)
    assert theirs.recv(1) == b""
    theirs.close()


def test_a_rate_of_its_own_counts() -> None:
    patience = Patience(10, slowest_rate=100)
    patience.waited(5)
    patience.passed(300)
    assert patience.remaining == 8
    for _ in range(100):  # a tenth of the rate, for as long as it lasts
        patience.waited(1)
        patience.passed(10)
    assert patience.remaining < 0


def test_the_kernel_looks_after_half_open_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    transport = Transport(ours, half_open_after=90)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 90000
    transport.close()
    theirs.close()
