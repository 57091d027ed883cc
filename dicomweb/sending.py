"""gunicorn's response, put on the wire with few copies and few packets."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from gunicorn.http.wsgi import Response

from dicomweb.admission import take_expectation, unread_bytes
from dicomweb.file_span import FileSpan
from vna.interrupts import current_interrupt

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_MOST_SKIPPED = 32 * 1024
"""Bytes of a body that are read for nothing, so that the connection can go on."""
_LITTLE = 4096
_MOST_HELD = 12


class GatewayResponse(Response):  # type: ignore[misc]  # gunicorn has no types
    """Sends the head together with the first bytes of the body, and spans of files by the kernel."""

    def __init__(self, req: Any, sock: Any, cfg: Any) -> None:
        super().__init__(req, sock, cfg)
        self._held: list[bytes] = []
        self._is_awaited = take_expectation(req)
        self.headers_sent = False

    def proceed(self) -> None:
        """The body is wanted: a client that waits for this word sends it now (RFC 9110 10.1.1)."""
        if self._is_awaited and not self.headers_sent:
            self._is_awaited = False
            self.sock.sendall(_CONTINUE)

    def send_headers(self) -> None:
        """Called by gunicorn before the first bytes of the body, which take the head with them."""
        if not self.headers_sent:
            if self._is_awaited or unread_bytes(self.req) > _MOST_SKIPPED:
                self.force_close()  # nobody knows whether the body comes, or waits for its end
            lines = [*self.default_headers(), *(f"{k}: {v}\r\n" for k, v in self.headers), "\r\n"]
            self._held = ["".join(lines).encode("latin-1")]
            self.headers_sent = True

    def write(self, item: bytes | FileSpan) -> None:
        """Send a piece of the body. Raises BrokenPipeError when the client has gone, TimeoutError."""
        interrupt = current_interrupt()
        if interrupt is not None and interrupt.is_set:
            raise BrokenPipeError(errno.EPIPE, "the client has closed its connection")
        if not isinstance(item, FileSpan):
            super().write(item)
            return
        self.send_headers()
        if self._omits_body or not item.length:
            return
        self.sent += item.length
        head = [b"%X\r\n" % item.length] if self.chunked else []
        self.sock.send_pieces([*self._taken(), *head], more=True)
        self.sock.send_span(item)
        if self.chunked:
            self._held = [b"\r\n"]

    def _emit_body(self, data: bytes) -> None:
        """Called by gunicorn with what is to be sent; little waits for what comes behind it."""
        framed = (b"%X\r\n" % len(data), data, b"\r\n") if self.chunked else (data,)
        if len(data) <= _LITTLE and len(self._held) < _MOST_HELD:
            self._held += framed
        else:
            self.sock.send_pieces([*self._taken(), *framed])

    def close(self) -> None:
        """Send what is left, and the end of a chunked body."""
        self.send_headers()
        end = [b"0\r\n\r\n"] if self.chunked else []
        self.sock.send_pieces([*self._taken(), *end])

    def _taken(self) -> Iterator[bytes]:
        held, self._held = self._held, []
        yield from held
