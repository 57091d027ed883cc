"""A client's connection: its socket never waits for ever, its requests begin when their head is there."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Sequence
from typing import Any, Self

from gunicorn.workers.gthread import TConn

from dicomweb.file_span import FileSpan
from dicomweb.request_head import Lane, RequestHead
from vna.interrupts import Interrupt

_SEND_BYTES = 256 * 1024
_HEAD_BYTES = 8 * 1024
"""Enough for almost every head. What comes of a body with it is copied several times on its way."""
_SCRAP = bytearray(1024 * 1024)


class TimedSocket(socket.socket):
    """A socket whose blocking mode has a time-out: each read, and each piece sent, gets that long."""

    read_timeout: float = 60.0

    @classmethod
    def adopt(cls, accepted: socket.socket, read_timeout: float) -> Self:
        """The connection of `accepted`, which is no longer usable."""
        adopted = cls(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        adopted.read_timeout = read_timeout
        return adopted

    def setblocking(self, flag: bool, /) -> None:
        """gunicorn calls this before it parses, reads or writes."""
        self.settimeout(self.read_timeout if flag else 0.0)

    def settimeout(self, value: float | None, /) -> None:
        """As `socket.settimeout`; what is so already costs no call of the system."""
        if value != self.gettimeout():
            super().settimeout(value)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As `socket.sendall`, but the time-out is for each piece: a slow line may take its time."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest[:_SEND_BYTES], flags) :]

    def receive(self) -> bytes | None:
        """The next bytes, without waiting; b"" when the client is gone, None when there are none."""
        try:
            return self.recv(_HEAD_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def discard(self) -> bool:
        """Throw away what has come, without waiting; whether more may follow."""
        try:
            # The kernel copies nothing then; it needs to be given room all the same.
            return self.recv_into(_SCRAP, len(_SCRAP), socket.MSG_TRUNC) > 0
        except BlockingIOError:
            return True
        except OSError:
            return False

    def send_pieces(self, pieces: Sequence[bytes], *, more: bool = False) -> None:
        """Send `pieces` one behind the other; `more`: something follows at once. Raises TimeoutError."""
        rest = [memoryview(piece) for piece in pieces if piece]
        while rest:
            sent = self._send_some(rest, more=more)
            while rest and sent >= len(rest[0]):
                sent -= len(rest.pop(0))
            if sent:
                rest[0] = rest[0][sent:]

    def _send_some(self, pieces: Sequence[memoryview], *, more: bool) -> int:
        if more:
            return self.sendmsg(pieces, [], socket.MSG_MORE)
        while True:
            try:  # mostly there is room: the socket's own methods would ask for it first
                return os.writev(self.fileno(), pieces)
            except BlockingIOError:
                self._await_room()

    def send_span(self, span: FileSpan) -> None:
        """Send a part of a file without reading it. Raises TimeoutError, OSError when the file is shorter."""
        offset, end = span.offset, span.offset + span.length
        while offset < end:
            try:
                sent = os.sendfile(self.fileno(), span.fd, offset, end - offset)
            except BlockingIOError:
                self._await_room()
                continue
            if not sent:
                raise OSError(f"a file ends {end - offset} bytes too early")
            offset += sent

    def _await_room(self) -> None:
        waiting = select.poll()
        waiting.register(self.fileno(), select.POLLOUT)
        if not waiting.poll(self.read_timeout * 1000):
            raise TimeoutError("the client does not read")


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's connection, with the head of the request that comes next."""

    def __init__(self, cfg: Any, sock: TimedSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.head = RequestHead()
        self.lane = Lane.ANSWER
        self.interrupt: Interrupt | None = None
        self.parts_until = 0.0
        self.data_ready = True  # a thread is asked for only then

    def init(self) -> None:
        """Called by gunicorn in the thread, before each request."""
        super().init()
        if self.head.is_begun:
            self.parser.unreader.unread(self.head.take())

    def await_next(self, seconds: float) -> bool:
        """Whether the head of another request for the same lane comes within `seconds`; a part of one is kept."""
        self.read_ahead()
        if not self.head.is_complete:
            waiting = select.poll()
            waiting.register(self.sock.fileno(), select.POLLIN)
            if not waiting.poll(seconds * 1000):
                return False
            try:
                self.head.receive(os.read(self.sock.fileno(), _HEAD_BYTES))
            except OSError:
                return False
        return self.head.is_complete and self.head.lane() is self.lane

    def read_ahead(self) -> None:
        """What was read behind the last request belongs to the head of the next one."""
        if self.parser is not None:
            self.head.receive(self.parser.unreader.take_buffered())
