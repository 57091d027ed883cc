"""A socket with patience: receive and send that wait for the peer just so long (PS3.8 9.1)."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from vna.dimse.errors import ConnectionLost, DimseError

RECEIVE_BUFFER_LENGTH = 262144
SLOWEST_RATE = 16384  # bytes a second
KEEPALIVE_SECONDS = 60
KEEPALIVE_PROBES = 4
_UNITS_PER_CALL = 64  # two buffers each; far below IOV_MAX
_BYTES_PER_CALL = 589824  # an image of 512 KiB and its header go out at once

Buffer = bytes | bytearray | memoryview
Unit = tuple[Buffer, ...]  # a whole PDU: header and fragment


class TimedOut(DimseError):
    """The peer did nothing, or too little, for as long as it was given."""


class Clock(Protocol):
    """How long the peer may still take."""

    @property
    def remaining(self) -> float:
        """Seconds."""
        ...

    def waited(self, seconds: float) -> None:
        """So long was spent waiting for the peer."""
        ...

    def passed(self, size: int) -> None:
        """So many bytes went one way or the other."""
        ...


class Deadline:
    """A moment on the clock, whatever happens until then: ARTIM."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        return self._end - time.monotonic()

    def waited(self, seconds: float) -> None:
        """Time passes by itself."""

    def passed(self, size: int) -> None:
        """Bytes do not move a deadline."""


class Patience:
    """So many seconds of waiting; each `slowest_rate` bytes give one back, never more than at the
    start.

    A peer that is faster than that, pauses included, may take for ever; one that is slower runs out
    of patience, the sooner the slower it is.
    """

    __slots__ = ("_full", "_rate", "remaining")

    def __init__(self, seconds: float, slowest_rate: float = SLOWEST_RATE) -> None:
        self._full = seconds
        self._rate = slowest_rate
        self.remaining = seconds

    def waited(self, seconds: float) -> None:
        self.remaining -= seconds

    def passed(self, size: int) -> None:
        if self.remaining != self._full:
            self.remaining = min(self._full, self.remaining + size / self._rate)


class Transport:
    """A connected socket and one reusable receive buffer; `wake` and `shutdown` may come from other
    threads.
    """

    def __init__(self, sock: socket.socket, *, half_open_after: float = 0.0) -> None:
        """Take over `sock`. Raises ConnectionLost (it is closed then) when file descriptors run out.

        A peer whose machine is gone without a word is noticed by its silence towards TCP's own
        probes (minutes); with `half_open_after`, when it has acknowledged nothing for so many
        seconds.
        """
        try:
            self._woken, self._waker = socket.socketpair()
            sock.settimeout(0)
        except OSError as exc:
            sock.close()
            raise ConnectionLost(f"the connection cannot be served: {exc}") from exc
        with contextlib.suppress(OSError):  # not TCP, or gone already: the next call tells
            _tune(sock, half_open_after)
        self._sock = sock
        self._view = memoryview(bytearray(RECEIVE_BUFFER_LENGTH))
        self._woken.settimeout(0)
        self._waker.settimeout(0)
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)
        self._readable.register(self._woken, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(sock, select.POLLOUT)

    def getpeername(self) -> object:
        """As of a socket. Raises OSError."""
        return self._sock.getpeername()

    def receive(self, clock: Clock) -> memoryview | None:
        """What is there, valid until the next call; empty when the peer closed; None when woken.

        Raises TimedOut, ConnectionLost.
        """
        while True:
            if clock.remaining <= 0:
                raise TimedOut("nothing more was received")
            data = self.receive_now()
            if data is not None:
                clock.passed(len(data))
                return data
            if self._waker_is_in(self._wait(self._readable, clock)) and self._was_woken():
                return None

    def receive_now(self) -> memoryview | None:
        """As `receive`, but None when nothing is there."""
        try:
            size = self._sock.recv_into(self._view)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return self._view[:0]
        except OSError as exc:
            raise ConnectionLost(f"the connection broke: {exc}") from exc
        return self._view[:size]

    def send(self, units: Iterable[Unit], clock: Clock) -> None:
        """Send all, many buffers a system call. Raises TimedOut, ConnectionLost; errors of `units`
        between two.
        """
        source = iter(units)
        while batch := _batch(source):
            self._send_batch(batch, clock)

    def wake(self) -> None:
        """Make a waiting, or the next, `receive` return None."""
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def shutdown(self) -> None:
        """Cut the connection; whoever waits on it finds it closed."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def farewell(self) -> None:
        """Tell the peer that nothing more will come, as far as the transport has words for it."""

    def close(self) -> None:
        """Close the socket; idempotent."""
        self._sock.close()
        self._woken.close()
        self._waker.close()

    def _send_batch(self, batch: list[Buffer], clock: Clock) -> None:
        while batch:
            try:
                sent = self._sock.sendmsg(batch)
            except BlockingIOError:
                if clock.remaining <= 0:
                    raise TimedOut("the peer does not take what is sent") from None
                self._wait(self._writable, clock)
                continue
            except OSError as exc:
                raise ConnectionLost(f"the connection broke: {exc}") from exc
            clock.passed(sent)
            _drop(batch, sent)

    @staticmethod
    def _wait(poll: select.poll, clock: Clock) -> list[tuple[int, int]]:
        """What is ready then, as `poll` gives it."""
        start = time.monotonic()
        ready = poll.poll(max(clock.remaining, 0) * 1000)
        clock.waited(time.monotonic() - start)
        return ready

    def _waker_is_in(self, ready: list[tuple[int, int]]) -> bool:
        woken = self._woken.fileno()
        return any(number == woken for number, _ in ready)

    def _was_woken(self) -> bool:
        try:
            return bool(self._woken.recv(64))
        except BlockingIOError:
            return False


def _tune(sock: socket.socket, half_open_after: float) -> None:
    """No delays, and the kernel looks after half-open connections. Raises OSError."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    interval = max(1, KEEPALIVE_SECONDS // KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    if half_open_after > 0:
        milliseconds = max(1, int(half_open_after * 1000))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _batch(source: Iterator[Unit]) -> list[Buffer]:
    """The next buffers for one system call, whole units."""
    batch: list[Buffer] = []
    size = 0
    for unit in islice(source, _UNITS_PER_CALL):
        batch += unit
        for buffer in unit:
            size += len(buffer)
        if size >= _BYTES_PER_CALL:
            break
    return batch


def _drop(batch: list[Buffer], size: int) -> None:
    """Take `size` sent bytes from the front."""
    done = 0
    for buffer in batch:
        if size < len(buffer):
            break
        size -= len(buffer)
        done += 1
    del batch[:done]
    if batch and size:
        batch[0] = memoryview(batch[0])[size:]
