"""Streams over bytes that somebody else holds: memory, or an open file."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from storage_backends.base import Digest
from storage_backends.errors import IntegrityError


class MemoryStream(io.RawIOBase):
    """A stream over memory that also shows it whole, as io.BytesIO does, to save copies.

    `vouched`: the digest of all its bytes, made by whoever filled the memory; see StorageBackend.put.
    """

    def __init__(self, view: memoryview, vouched: Digest | None = None) -> None:
        self._view = view
        self.vouched = vouched
        self._position = 0

    def getbuffer(self) -> memoryview:
        """All bytes, whatever the position."""
        return self._view[:]

    def read(self, size: int = -1, /) -> bytes:
        end = len(self._view) if size < 0 else self._position + size
        data = bytes(self._view[self._position : end])
        self._position += len(data)
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override]
        data = self._view[self._position : self._position + len(target)]
        target[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = _seek(offset, whence, self._position, len(self._view))
        return self._position

    def tell(self) -> int:
        return self._position


class FileStream(io.RawIOBase):
    """A stream over a descriptor that others use, too: it keeps a position of its own."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd, self._size = fd, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override]
        count = os.preadv(self._fd, [target], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = _seek(offset, whence, self._position, self._size)
        return self._position

    def tell(self) -> int:
        return self._position


def read_exactly(key: str, source: BinaryIO, count: int) -> bytes | bytearray:
    """`count` bytes of the source of object `key`. Raises IntegrityError when it ends before."""
    data = source.read(count)
    if len(data) == count:
        return data
    whole = bytearray(data)
    while data and len(whole) < count:
        data = source.read(count - len(whole))
        whole += data
    if len(whole) < count:
        raise IntegrityError(f"object {key!r}: its source ended {count - len(whole)} bytes early")
    return whole


def _seek(offset: int, whence: int, position: int, size: int) -> int:
    base = {io.SEEK_SET: 0, io.SEEK_CUR: position, io.SEEK_END: size}[whence]
    if base + offset < 0:
        raise ValueError("seek before the start")
    return base + offset
