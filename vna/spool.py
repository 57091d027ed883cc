"""Received bytes before they are stored: in memory up to a bound, then in a file, hashed."""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self, cast

from blake3 import blake3

from storage_backends.base import Digest
from storage_backends.digests import BLAKE3
from storage_backends.scratch import Scratch, ScratchFile
from storage_backends.streams import FileStream, MemoryStream
from vna.errors import OutOfSpace, Unavailable, VnaError
from vna.memory_budget import MemoryBudget

_CHUNK = 2**20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

Span = tuple[int, int]
"""(start, length) in bytes."""


class Spool:
    """Makes writers. Its files lie under `directory`, each process's in a sub-directory of its own.

    `memory_bytes` bounds what one object may hold in memory, `process_memory_bytes` what all objects of the
    process hold together: who comes when it is used up is written to a file from the start. Shared by threads and
    forked children.
    """

    def __init__(
        self, directory: Path, memory_bytes: int, process_memory_bytes: int = 128 * 2**20
    ) -> None:
        self._scratch = Scratch(directory)
        self._memory_bytes = memory_bytes
        self._budget = MemoryBudget(process_memory_bytes)

    def open(self) -> SpoolWriter:
        """A writer for one object."""
        return SpoolWriter(self._scratch, self._memory_bytes, self._budget)

    def sweep(self) -> int:
        """Remove what dead processes left; returns the number of files. Raises Unavailable."""
        with _translated():
            return self._scratch.sweep()

    def close(self) -> None:
        """Let go of this process's sub-directory."""
        self._scratch.close()


class SpoolWriter:
    """Takes the bytes of one object. As a context it aborts unless it was finished."""

    __slots__ = (
        *("_budget", "_buffer", "_file", "_granted", "_hasher", "_is_done", "_memory_bytes"),
        *("_scratch", "size"),
    )

    def __init__(self, scratch: Scratch, memory_bytes: int, budget: MemoryBudget) -> None:
        self.size = 0
        self._budget = budget
        self._granted = 0
        self._scratch = scratch
        self._memory_bytes = memory_bytes
        self._buffer = bytearray()
        self._hasher = blake3()
        self._file: ScratchFile | None = None
        self._is_done = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises OutOfSpace or Unavailable, and the writer is aborted then."""
        length = data.nbytes if isinstance(data, memoryview) else len(data)
        if self._file is None and not self._is_done and self._fits(self.size + length):
            self._buffer += data
            self.size += length
        else:
            self._write_file(data, length)

    def _fits(self, size: int) -> bool:
        """Whether `size` bytes may lie in memory; what the process allows is taken as it is needed."""
        if size > self._memory_bytes:
            return False
        if size > self._granted:
            self._granted += self._budget.take(size - self._granted)
        return size <= self._granted

    def _release(self) -> None:
        self._budget.give(self._granted)
        self._granted = 0

    def _write_file(self, data: bytes | bytearray | memoryview, length: int) -> None:
        if self._is_done:
            raise ValueError("write to a finished spool writer")
        with self._aborting():
            if self._file is None:
                self._file = self._scratch.create()
            if len(self._buffer) + length >= _CHUNK:
                self._flush()
            if length >= _CHUNK:
                self._append_to_file(data)
            else:
                self._buffer += data
            self.size += length

    def finish(self) -> Spooled:
        """The object as it came. Raises OutOfSpace or Unavailable. Its bytes are not synced yet."""
        if self._is_done:
            raise ValueError("spool writer was finished before")
        with self._aborting():
            if self._file is None:
                self._hasher.update(self._buffer)
            else:
                self._flush()
        self._is_done = True
        digest = Digest(BLAKE3, self._hasher.hexdigest())
        if self._file is None:
            return Spooled(self.size, digest, memory=self._buffer, release=self._release)
        return Spooled(self.size, digest, file=self._file)

    def abort(self) -> None:
        """Drop what was written; after `finish` it does nothing."""
        if self._is_done:
            return
        self._is_done = True
        self._buffer = bytearray()
        self._release()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.path.unlink()
            os.close(self._file.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.abort()

    @contextlib.contextmanager
    def _aborting(self) -> Iterator[None]:
        try:
            with _translated():
                yield
        except BaseException:
            self.abort()
            raise

    def _flush(self) -> None:
        self._append_to_file(self._buffer)
        self._buffer = bytearray()
        self._release()

    def _append_to_file(self, data: bytes | bytearray | memoryview) -> None:
        self._hasher.update(data)
        fd = cast("ScratchFile", self._file).fd
        with memoryview(data) as whole, whole.cast("B") as view:
            done = 0
            while done < len(view):
                done += os.write(fd, view[done:])


class Spooled:
    """One received object: `size` bytes with their `digest`. Close it when it is stored or not.

    It holds its file open: reading goes on when a backend has adopted `path`.
    """

    def __init__(
        self,
        size: int,
        digest: Digest,
        *,
        memory: bytearray | None = None,
        file: ScratchFile | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.size = size
        self.digest = digest
        self.path = file.path if file is not None else None
        self._memory = memory
        self._release = release
        self._fd = file.fd if file is not None else -1
        self._is_closed = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def buffer(self) -> Iterator[memoryview]:
        """All bytes without a copy: the memory itself, or the file mapped. Raises Unavailable."""
        if self._memory is not None:
            yield memoryview(self._memory).toreadonly()
            return
        with _translated():
            mapping = mmap.mmap(self._open_fd(), self.size, access=mmap.ACCESS_READ)
        view = memoryview(mapping)
        try:
            yield view
        finally:
            with contextlib.suppress(BufferError):  # somebody kept a slice: it goes with that
                view.release()
                mapping.close()

    def open(self) -> BinaryIO:
        """A fresh stream from the start; several may be open at once, none may outlive `close`."""
        if self._memory is not None:
            return cast("BinaryIO", MemoryStream(memoryview(self._memory).toreadonly()))
        return io.BufferedReader(FileStream(self._open_fd(), self.size), _CHUNK)

    def digest_of(self, start: int, length: int) -> Digest:
        """The digest of one span, cut at the end of the object."""
        return self.digests([(start, length)])[0]

    def digests(self, spans: Sequence[Span]) -> list[Digest]:
        """The digest of each span, in one pass over what they cover and in bounded memory.

        Spans are cut at the end of the object. Raises Unavailable.
        """
        whole = (0, self.size)
        hashers = [blake3() for _ in spans]
        wanted = [(span, h) for span, h in zip(spans, hashers, strict=True) if span != whole]
        low = min((start for (start, _), _ in wanted), default=0)
        high = min(self.size, max((start + length for (start, length), _ in wanted), default=0))
        for position in range(low, high, _CHUNK):
            chunk = self._read(position, min(_CHUNK, high - position))
            with chunk:
                for (start, length), hasher in wanted:
                    begin = max(start - position, 0)
                    end = min(start + length - position, len(chunk))
                    if begin < end:
                        hasher.update(chunk[begin:end])
        return [
            self.digest if span == whole else Digest(BLAKE3, hasher.hexdigest())
            for span, hasher in zip(spans, hashers, strict=True)
        ]

    def close(self) -> None:
        """Drop the bytes, unless a backend has adopted the file; a second call does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._memory = None
        if self._release is not None:
            self._release()
        if self.path is not None:
            with contextlib.suppress(OSError):  # adopted, or left to the next sweep
                self.path.unlink()
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _open_fd(self) -> int:
        if self._is_closed:
            raise ValueError("spooled object was closed")
        return self._fd

    def _read(self, start: int, length: int) -> memoryview:
        if self._memory is not None:
            return memoryview(self._memory)[start : start + length]
        with _translated():
            data = os.pread(self._open_fd(), length, start)
        if len(data) != length:
            raise Unavailable("spool: a file of the spool was cut short by somebody else")
        return memoryview(data)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """The operating system's errors in the archive's words."""
    try:
        yield
    except OSError as exc:
        raise _translate(exc) from exc


def _translate(error: OSError) -> VnaError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return OutOfSpace(f"spool: {reason}; make room in the spool's file system, then send again")
    return Unavailable(f"spool: {reason}")
