"""Streams over bytes that somebody else holds: memory, or an open file."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO, Protocol, cast

from storage_backends.base import Digest, ObjectReader
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


class Readable(Protocol):
    """What can be read, a socket or an object of a backend, perhaps less at a time than was asked for."""

    def read(self, size: int, /) -> bytes: ...


def read_exactly(source: Readable, size: int) -> bytes:
    """The next `size` bytes, fewer only at the end of `source`."""
    pieces = []
    while size > 0 and (piece := source.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_into(source: Readable, target: memoryview) -> int:
    """Fill `target` from `source`; the count of bytes, fewer only at the end."""
    readinto = getattr(source, "readinto", None)
    done = 0
    while done < len(target):
        with target[done:] as rest:
            if readinto is not None:
                count = readinto(rest) or 0
            else:
                data = source.read(len(rest))
                count = len(data)
                rest[:count] = data
        if not count:
            break
        done += count
    return done


def read_announced(key: str, source: Readable, size: int) -> bytes:
    """The `size` bytes that were announced for the object `key`. Raises IntegrityError when fewer come."""
    data = read_exactly(source, size)
    check_length(key, size, len(data))
    return data


def check_length(key: str, size: int, found: int) -> None:
    """Raise IntegrityError unless as many bytes came for the object `key` as were announced."""
    if found != size:
        raise IntegrityError(f"object {key!r}: {size} bytes announced, {found} came")


def shows_memory(source: object) -> bool:
    """Whether `in_memory` has something to show."""
    return hasattr(source, "getbuffer")


@contextlib.contextmanager
def in_memory(
    key: str, source: BinaryIO, size: int, digest: Digest
) -> Iterator[tuple[memoryview, bool]]:
    """The next `size` bytes of a source that shows its memory, where they lie, and whether they are vouched
    to have `digest`; see StorageBackend.put. After the block the source stands behind them. Raises IntegrityError.
    """
    start = source.tell()
    with cast("MemoryStream", source).getbuffer() as whole, whole[start : start + size] as data:
        check_length(key, size, len(data))
        is_all = start == 0 and len(whole) == size
        yield data, is_all and getattr(source, "vouched", None) == digest
    source.seek(start + size)


def empty_reader() -> ObjectReader:
    """A reader without any bytes."""
    return cast("ObjectReader", MemoryStream(memoryview(b"")))


def _seek(offset: int, whence: int, position: int, size: int) -> int:
    base = {io.SEEK_SET: 0, io.SEEK_CUR: position, io.SEEK_END: size}[whence]
    if base + offset < 0:
        raise ValueError("seek before the start")
    return base + offset
