"""The files that received bytes wait in, as they came or sealed."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from typing import Protocol

from storage_backends.buffers import Buffers
from storage_backends.direct import read_at, write_all
from storage_backends.encryption.files import SealedFile
from storage_backends.scratch import ScratchFile
from storage_backends.streams import FileStream

_STEP = 2**20
_HELD = 64 * 2**10


class SpoolFile(Protocol):
    """What is appended, by one thread, can be read by any when the last bytes are there. OSErrors are let through."""

    scratch: ScratchFile

    def append(self, data: memoryview, *, is_last: bool) -> None:
        """Append a chunk; only the last may be shorter, and has a byte at least."""
        ...

    def read_into(self, target: memoryview, position: int) -> int:
        """Fill `target` from `position` on; the count of bytes, fewer at the end. Raises IntegrityError."""
        ...

    def stream(self, size: int) -> FileStream:
        """All `size` bytes."""
        ...

    def mapped(self, size: int) -> memoryview:
        """All `size` bytes in one piece. Raises IntegrityError."""
        ...


class PlainFile:
    """Bytes as they came, which a backend may adopt."""

    def __init__(self, scratch: ScratchFile) -> None:
        self.scratch = scratch
        self._position = 0

    def append(self, data: memoryview, *, is_last: bool) -> None:
        """See SpoolFile.append; any length will do."""
        del is_last
        write_all(self.scratch.fd, data, self._position)
        self._position += len(data)

    def read_into(self, target: memoryview, position: int) -> int:
        """See SpoolFile.read_into."""
        return read_at(self.scratch.fd, target, position)

    def stream(self, size: int) -> FileStream:
        """See SpoolFile.stream."""
        return FileStream(self.scratch.fd, size)

    def mapped(self, size: int) -> memoryview:
        """See SpoolFile.mapped."""
        return memoryview(mmap.mmap(self.scratch.fd, size, access=mmap.ACCESS_READ))


class HiddenFile:
    """Bytes that nobody can read from the disk; a backend that encrypts may adopt them as they lie there."""

    def __init__(self, scratch: ScratchFile, buffers: Buffers) -> None:
        self.scratch = scratch
        self.sealed = SealedFile(scratch.fd, buffers)
        self._buffers = buffers
        self._lock = threading.Lock()
        self._mapped: mmap.mmap | None = None

    @property
    def data_key(self) -> bytes:
        """What they are sealed under."""
        return self.sealed.data_key

    def append(self, data: memoryview, *, is_last: bool) -> None:
        """See SpoolFile.append."""
        self.sealed.append(data, is_last=is_last)

    def read_into(self, target: memoryview, position: int) -> int:
        """See SpoolFile.read_into."""
        return self.sealed.read_into(target, position)

    def stream(self, size: int) -> FileStream:
        """See SpoolFile.stream."""
        del size
        return self.sealed.stream()

    def mapped(self, size: int) -> memoryview:
        """See SpoolFile.mapped. The first call writes all of them to a file without a name."""
        with self._lock:
            if self._mapped is None:
                self._mapped = self._opened(size)
            return memoryview(self._mapped)

    def _opened(self, size: int) -> mmap.mmap:
        path = self.scratch.path.with_suffix(".plain")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        try:
            path.unlink()
            self._write_to(fd, size)
            return mmap.mmap(fd, size, access=mmap.ACCESS_READ)  # it has a descriptor of its own
        finally:
            os.close(fd)

    def _write_to(self, fd: int, size: int) -> None:
        with self._buffers.lend() as memory, memory[:_STEP] as target:
            for position in range(0, size, _STEP):
                with target[: self.sealed.read_into(target, position)] as data:
                    write_all(fd, data, position)


class Pieces:
    """The bytes of a file to be had one slice at a time; what lies behind the last one mostly is at hand."""

    def __init__(self, read_into: Callable[[memoryview, int], int], size: int) -> None:
        self._read_into, self._size = read_into, size
        self._held, self._held_at = b"", 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice) -> bytes:
        """A copy of the bytes, cut at the end. Raises what reading raises."""
        start, stop, _ = span.indices(self._size)
        if start < self._held_at or stop > self._held_at + len(self._held):
            if stop - start > _HELD:
                return self._read(start, stop)
            self._held_at = start // _HELD * _HELD
            self._held = self._read(self._held_at, min(-(-stop // _HELD) * _HELD, self._size))
        return self._held[start - self._held_at : stop - self._held_at]

    def _read(self, start: int, stop: int) -> bytes:
        data = bytearray(max(0, stop - start))
        with memoryview(data) as target:
            count = self._read_into(target, start)
        return bytes(data[:count])
