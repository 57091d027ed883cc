"""The head of an HTTP request as it arrives, before a thread is spent on it (RFC 9112 2.2)."""

from __future__ import annotations

import re
from enum import Enum

MAX_HEAD_BYTES = 256 * 1024
"""Request line and headers together: twice and more what gunicorn's own limits sensibly allow."""

_END = b"\r\n\r\n"
_ANY_END = re.compile(rb"\r?\n\r?\n")
_UNENCODED = re.compile(rb"[\x80-\xff]")
_HAS_BODY = re.compile(rb"\r\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)
PROBES = ("/healthz", "/readyz", "/metrics")
_PROBES = tuple(path.encode() for path in PROBES)


class Lane(Enum):
    """Kinds of requests that must not wait for each other."""

    PROBE = "probe"
    ANSWER = "answer"
    UPLOAD = "upload"


class RequestHead:
    """Collects bytes up to the empty line behind the headers; what follows is kept with them."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._end = -1
        self._is_malformed = False

    @property
    def is_begun(self) -> bool:
        """Whether anything of the request is there."""
        return bool(self._bytes)

    @property
    def is_complete(self) -> bool:
        """Whether the request can be parsed without waiting for the client."""
        return self._end >= 0

    @property
    def is_malformed(self) -> bool:
        """Whether line feeds alone end it: servers in front may not agree on what they separate."""
        return self._is_malformed

    @property
    def is_too_long(self) -> bool:
        """Whether the end is still missing behind MAX_HEAD_BYTES."""
        return len(self._bytes) > MAX_HEAD_BYTES and not self.is_complete

    def receive(self, data: bytes) -> None:
        """The next bytes from the client."""
        searched = max(0, len(self._bytes) - len(_END) + 1)
        self._bytes += data
        if self._end < 0 and (found := _ANY_END.search(self._bytes, searched)):
            self._is_malformed = found[0] != _END
            self._end = -1 if self._is_malformed else found.start()

    def lane(self) -> Lane:
        """Where the complete request belongs."""
        head = bytes(self._bytes[: self._end])
        method, _, rest = head.partition(b" ")
        if method not in {b"GET", b"HEAD", b"OPTIONS"} or _HAS_BODY.search(head):
            return Lane.UPLOAD
        return Lane.PROBE if rest.startswith(_PROBES) else Lane.ANSWER

    def take(self) -> bytes:
        """Everything received, for the parser; bytes that a target should have percent-encoded are.

        Clients send names in UTF-8 as they are; gunicorn takes ASCII alone (RFC 9112 3.2).
        """
        line, newline, rest = bytes(self._bytes).partition(b"\r\n")
        self._bytes.clear()
        self._end = -1
        return _UNENCODED.sub(lambda found: b"%%%02X" % found[0][0], line) + newline + rest
