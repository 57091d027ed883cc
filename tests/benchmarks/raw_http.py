"""HTTP requests that are encoded before, on connections that stay open; of the answers only the length is looked at."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

TIMEOUT = 120.0
_PIECE = 2**20
_UNREAD = socket.MSG_TRUNC if sys.platform == "linux" else 0
"""Linux throws bytes of a TCP connection away that are received so: both archives send into the same void."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` and the number of bytes of the body, without transfer coding; `head` as it came."""

    status: int
    length: int
    head: bytes


def get(path: str, accept: str, *, compressed: bool = False) -> bytes:
    """A GET request; `compressed`: the client takes gzip."""
    coding = "Accept-Encoding: gzip\r\n" if compressed else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n{coding}\r\n".encode()


def post(path: str, content_type: str, body: bytes) -> bytes:
    """A POST request that takes DICOM JSON for an answer."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/dicom+json\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class RawHttp:
    """One connection on which requests are made one after the other; a context manager."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._room = bytearray(_PIECE)
        self._waiting = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """A piece of a request; the last one is asked."""
        self._socket.sendall(data)

    def ask(self, request: bytes) -> Answer:
        """The answer to an encoded request. Raises ConnectionError when it breaks off."""
        self._socket.sendall(request)
        head = self._until(b"\r\n\r\n")
        status = int(head[9:12])
        fields = dict(_fields(head))
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            return Answer(status, self._skip_chunks(), head)
        if b"content-length" not in fields:
            return Answer(status, self._skip_rest(), head)
        length = int(fields[b"content-length"])
        self._skip(length)
        return Answer(status, length, head)

    def _until(self, mark: bytes) -> bytes:
        while (end := self._waiting.find(mark)) < 0:
            self._waiting += self._receive()
        found, self._waiting = self._waiting[:end], self._waiting[end + len(mark) :]
        return found

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the answer broke off")
        return data

    def _skip(self, length: int) -> None:
        known = min(length, len(self._waiting))
        self._waiting = self._waiting[known:]
        left = length - known
        while left > 0:
            received = self._socket.recv_into(self._room, min(left, _PIECE), _UNREAD)
            if not received:
                raise ConnectionError("the answer broke off")
            left -= received

    def _skip_rest(self) -> int:
        """An answer without a length ends with its connection."""
        total, self._waiting = len(self._waiting), b""
        while received := self._socket.recv_into(self._room, _PIECE):
            total += received
        return total

    def _skip_chunks(self) -> int:
        total = 0
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            self._skip(size + 2)
            total += size
        self._until(b"\r\n")
        return total


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return [(name.strip().lower(), value.strip()) for name, _, value in lines]


def rate(
    address: tuple[str, int], clients: int, share: int, ask: Callable[[RawHttp, int, int], object]
) -> float:
    """Requests a second of so many clients at once: `ask(connection, client, number)`, `share` times each.

    Raises what `ask` raises first.
    """
    connections = [RawHttp(address) for _ in range(clients)]
    failures: list[Exception] = []

    def work(client: int) -> None:
        try:
            for number in range(share):
                ask(connections[client], client, number)
        except Exception as exc:  # noqa: BLE001 - raised below
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.__exit__()
    if failures:
        raise failures[0]
    return clients * share / seconds


def expect(answer: Answer, statuses: Sequence[int], least: int = 0) -> Answer:
    """`answer`, if it has one of these statuses and at least so many bytes. Raises RuntimeError."""
    if answer.status not in statuses or answer.length < least:
        raise RuntimeError(f"status {answer.status} with {answer.length} bytes")
    return answer
