"""The parts of a multipart body, one after the other, as a client reads them (RFC 2046 5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_CHUNK = 256 * 1024
_MAX_HEAD = 64 * 1024
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;,]+))', re.IGNORECASE)


class BadBody(Exception):
    """The body is no multipart, or ends before its last delimiter."""


class Parts:
    """Iterates over parts; each is an iterator over its bytes, and is to be read before the next is asked for."""

    def __init__(self, content_type: str, read: Callable[[int], bytes]) -> None:
        """`read` gives the next bytes of the body, b"" at its end. Raises BadBody."""
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise BadBody(f"the answer is {content_type or 'of no type'}, not multipart")
        self._delimiter = b"\r\n--" + (found[1] or found[2]).encode("latin-1")
        self._read = read
        self._buffer = bytearray(b"\r\n")
        self._is_in_part = False

    def __iter__(self) -> Iterator[Iterator[memoryview]]:
        """Raises BadBody, and what `read` raises."""
        self._pass(self._delimiter, None)
        while not self._is_last():
            self._pass(b"\r\n\r\n", _MAX_HEAD)
            self._is_in_part = True
            yield self._body()
            for _ in self._body():
                pass

    def _is_last(self) -> bool:
        while len(self._buffer) < 2:
            self._fill()
        return self._buffer[:2] == b"--"

    def _pass(self, what: bytes, limit: int | None) -> None:
        while (at := self._buffer.find(what)) < 0:
            if limit is not None and len(self._buffer) > limit:
                raise BadBody("a part of the answer has endless headers")
            if limit is None:
                del self._buffer[: -len(what)]
            self._fill()
        del self._buffer[: at + len(what)]

    def _body(self) -> Iterator[memoryview]:
        while self._is_in_part:
            at = self._buffer.find(self._delimiter)
            end = at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter))
            piece = bytes(self._buffer[:end])
            del self._buffer[: end + (len(self._delimiter) if at >= 0 else 0)]
            self._is_in_part = at < 0
            if piece:
                yield memoryview(piece)
            if at < 0:
                self._fill()

    def _fill(self) -> None:
        data = self._read(_CHUNK)
        if not data:
            raise BadBody("the answer ends in the middle of a part")
        self._buffer += data
