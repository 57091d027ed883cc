"""A client's connection: its socket never waits for ever, its requests begin when their head is there."""

from __future__ import annotations

import socket
from typing import Any, Self

from gunicorn.workers.gthread import TConn

from dicomweb.request_head import Lane, RequestHead

_SEND_BYTES = 256 * 1024


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

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As `socket.sendall`, but the time-out is for each piece: a slow line may take its time."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send(rest[:_SEND_BYTES], flags) :]


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's connection, with the head of the request that comes next."""

    def __init__(self, cfg: Any, sock: TimedSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.head = RequestHead()
        self.lane = Lane.ANSWER
        self.drained = 0
        self.data_ready = True  # a thread is asked for only then

    def init(self) -> None:
        """Called by gunicorn in the thread, before each request."""
        super().init()
        if self.head.is_begun:
            self.parser.unreader.unread(self.head.take())

    def read_ahead(self) -> None:
        """What was read behind the last request belongs to the head of the next one."""
        if self.parser is not None:
            self.head.receive(self.parser.unreader.take_buffered())
