"""Received bytes before they are stored: in memory up to a bound, then in a file, hashed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self, cast

from blake3 import blake3

from storage_backends.base import Digest
from storage_backends.digests import BLAKE3
from storage_backends.encryption.files import sealing_buffers
from storage_backends.scratch import Scratch
from vna.arenas import ArenaPool
from vna.memory_budget import MemoryBudget
from vna.spool_files import HiddenFile, PlainFile, SpoolFile
from vna.spooled import CHUNK, InMemory, Span, Spooled, translated

__all__ = ["Span", "Spool", "SpoolWriter", "Spooled"]


class Spool:
    """Makes writers. Its files lie under `directory`, each process's in a sub-directory of its own.

    `memory_bytes` bounds what one object may hold in memory, `process_memory_bytes` what all objects of the
    process hold together: who comes when it is used up is written to a file from the start. With `seals` nobody can
    read from a file what is to be stored, and a backend that encrypts takes it over as it lies there. Shared by
    threads and forked children.
    """

    def __init__(
        self,
        directory: Path,
        memory_bytes: int,
        process_memory_bytes: int = 128 * 2**20,
        *,
        seals: bool = False,
    ) -> None:
        self.scratch = Scratch(directory)
        self.memory_bytes = memory_bytes
        self.budget = MemoryBudget(process_memory_bytes)
        self.arenas = ArenaPool(max(memory_bytes, CHUNK))
        self._seals = seals
        self._buffers = sealing_buffers()

    def open(self) -> SpoolWriter:
        """A writer for one object that is to be stored. Raises Unavailable."""
        return SpoolWriter(self, seals=self._seals)

    def open_plain(self) -> SpoolWriter:
        """A writer for bytes that are only to be looked at, and in one piece. Raises Unavailable."""
        return SpoolWriter(self, seals=False)

    def new_file(self, *, seals: bool) -> SpoolFile:
        """A file for one object. Raises OSError."""
        file = self.scratch.create()
        return HiddenFile(file, self._buffers) if seals else PlainFile(file)

    def sweep(self) -> int:
        """Remove what dead processes left; returns the number of files. Raises Unavailable."""
        with translated():
            return self.scratch.sweep()

    def close(self) -> None:
        """Let go of this process's sub-directory, and of memory that waits to be used again."""
        self.scratch.close()
        self.arenas.close()
        self._buffers.clear()


class SpoolWriter:
    """Takes the bytes of one object. As a context it aborts unless it was finished."""

    __slots__ = (
        *("_allowed", "_arena", "_file", "_filled", "_granted", "_hasher", "_is_done", "_seals"),
        *("_spool", "size"),
    )

    def __init__(self, spool: Spool, *, seals: bool) -> None:
        self.size = 0
        self._spool, self._seals = spool, seals
        self._granted = self._allowed = 0
        self._arena = spool.arenas.take()
        self._filled = 0  # bytes in the arena
        self._hasher = blake3()
        self._file: SpoolFile | None = None
        self._is_done = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises OutOfSpace or Unavailable, and the writer is aborted then."""
        length = data.nbytes if isinstance(data, memoryview) else len(data)
        size = self.size + length
        if self._file is None and not self._is_done and (size <= self._allowed or self._fits(size)):
            self._arena.memory[self.size : size] = data
            self.size = self._filled = size
        else:
            self._write_file(data)

    def _fits(self, size: int) -> bool:
        """Whether `size` bytes may lie in memory; what the process allows is taken as it is needed."""
        if size > self._spool.memory_bytes:
            return False
        self._granted += self._spool.budget.take(size - self._granted)
        self._allowed = min(self._granted, self._spool.memory_bytes)
        return size <= self._allowed

    def finish(self) -> Spooled:
        """The object as it came. Raises OutOfSpace or Unavailable. Its bytes are not synced yet."""
        if self._is_done:
            raise ValueError("spool writer was finished before")
        if self._file is None:
            with memoryview(self._arena.memory) as whole, whole[: self.size] as view:
                self._hasher.update(view)
            held: InMemory | SpoolFile = InMemory(self._arena, self._release)
        else:
            with self._aborting():
                self._flush(self._filled, is_last=True)
            self._spool.arenas.give(self._arena, CHUNK)
            held = self._file
        self._is_done = True
        digest = Digest(BLAKE3, self._hasher.hexdigest())
        return Spooled(self.size, digest, held, self._spool.arenas)

    def abort(self) -> None:
        """Drop what was written; after `finish` it does nothing."""
        if self._is_done:
            return
        self._is_done = True
        self._spool.arenas.give(self._arena, self._filled if self._file is None else CHUNK)
        self._release()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.scratch.path.unlink()
            os.close(self._file.scratch.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.abort()

    @contextlib.contextmanager
    def _aborting(self) -> Iterator[None]:
        try:
            with translated():
                yield
        except BaseException:
            self.abort()
            raise

    def _release(self) -> None:
        self._spool.budget.give(self._granted)
        self._granted = 0

    def _write_file(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_done:
            raise ValueError("write to a finished spool writer")
        with memoryview(data) as whole, whole.cast("B") as view, self._aborting():
            if self._file is None:
                self._begin_file()
            done = 0
            while done < len(view):
                if self._filled == CHUNK:  # not before: the last bytes are told to be the last
                    self._flush(CHUNK)
                count = min(CHUNK - self._filled, len(view) - done)
                end = self._filled + count
                self._arena.memory[self._filled : end] = view[done : done + count]
                self._filled, done = end, done + count
            self.size += done

    def _begin_file(self) -> None:
        """From here on the arena holds one chunk: it leaves when it is full, and on a boundary of the file."""
        self._file = self._spool.new_file(seals=self._seals)
        self._flush(max(0, self._filled - 1) // CHUNK * CHUNK)
        self._arena.shrink(CHUNK)
        self._release()

    def _flush(self, length: int, *, is_last: bool = False) -> None:
        """Hash and write the first `length` bytes of the arena, chunk by chunk; what is behind moves to its start."""
        memory, file = self._arena.memory, cast("SpoolFile", self._file)
        with memoryview(memory) as view:
            for start in range(0, length, CHUNK):
                with view[start : min(start + CHUNK, length)] as chunk:
                    self._hasher.update(chunk)
                    file.append(chunk, is_last=is_last and start + CHUNK >= length)
        self._filled -= length
        memory.move(0, length, self._filled)
