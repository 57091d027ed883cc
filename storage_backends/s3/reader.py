"""A stream over the answer to one GET."""

from __future__ import annotations

import re
from typing import Self

from urllib3.response import BaseHTTPResponse

from storage_backends.errors import BackendUnavailable
from storage_backends.s3.errors import translated

_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")


class ResponseReader:
    """The body of `response`, of which `count` bytes are due."""

    def __init__(self, backend: str, key: str, response: BaseHTTPResponse, count: int) -> None:
        self._backend, self._key = backend, key
        self._response: BaseHTTPResponse | None = response
        self._left = count
        self._is_closed = False

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises BackendUnavailable when they stop coming."""
        if self._is_closed:
            raise ValueError("read of a closed object")
        wanted = self._left if size < 0 else min(size, self._left)
        if self._response is None or wanted == 0:
            self._finish()
            return b""
        with translated(self._backend, self._key):
            data = self._response.read(wanted, decode_content=False)
        if not data:
            raise BackendUnavailable(
                f"{self._backend}: {self._key!r}: the store ended its answer {self._left} bytes early"
            )
        self._left -= len(data)
        self._finish()
        return data

    def close(self) -> None:
        """Give the connection back, or close it when bytes are still to come; a second call does nothing."""
        self._is_closed = True
        response, self._response = self._response, None
        if response is not None:
            response.close()
            response.release_conn()

    def _finish(self) -> None:
        """Give the connection back as soon as all has come, whenever the reader is closed."""
        if self._left == 0 and self._response is not None:
            response, self._response = self._response, None
            response.drain_conn()
            response.release_conn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def bytes_due(response: BaseHTTPResponse, where: str, start: int, length: int | None) -> int:
    """How many bytes an answer will bring, checked to be those asked for. Raises BackendUnavailable.

    Content-Range tells whether it is a part: some stores send it with status 200.
    """
    declared = response.headers.get("content-length", "")
    if not declared.isdigit():
        raise BackendUnavailable(f"{where}: the store does not tell how many bytes it sends")
    count = int(declared)
    content_range = response.headers.get("content-range", "")
    if content_range:
        found = _CONTENT_RANGE.fullmatch(content_range)
        is_right = (
            found is not None
            and int(found[1]) == start
            and int(found[2]) - start + 1 == count
            and (length is None or count <= length)
        )
    else:
        is_right = start == 0 and (length is None or count <= length)
    if not is_right:
        raise BackendUnavailable(
            f"{where}: asked for {length} bytes from {start}, the store sends "
            f"{content_range or 'the whole object'}"
        )
    return count
