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
from storage_backends.direct import write_all
from storage_backends.scratch import Scratch, ScratchFile
from vna.arenas import ArenaPool
from vna.memory_budget import MemoryBudget
from vna.spooled import CHUNK, InMemory, Span, Spooled, translated

__all__ = ["Span", "Spool", "SpoolWriter", "Spooled"]


class Spool:
    """Makes writers. Its files lie under `directory`, each process's in a sub-directory of its own.

    `memory_bytes` bounds what one object may hold in memory, `process_memory_bytes` what all objects of the
    process hold together: who comes when it is used up is written to a file from the start. Shared by threads and
    forked children.
    """

    def __init__(
        self, directory: Path, memory_bytes: int, process_memory_bytes: int = 128 * 2**20
    ) -> None:
        self.scratch = Scratch(directory)
        self.memory_bytes = memory_bytes
        self.budget = MemoryBudget(process_memory_bytes)
        self.arenas = ArenaPool(max(memory_bytes, CHUNK))

    def open(self) -> SpoolWriter:
        """A writer for one object. Raises Unavailable."""
        return SpoolWriter(self)

    def sweep(self) -> int:
        """Remove what dead processes left; returns the number of files. Raises Unavailable."""
        with translated():
            return self.scratch.sweep()

    def close(self) -> None:
        """Let go of this process's sub-directory, and of memory that waits to be used again."""
        self.scratch.close()
        self.arenas.close()


class SpoolWriter:
    """Takes the bytes of one object. As a context it aborts unless it was finished."""

    __slots__ = (
        *("_allowed", "_arena", "_file", "_filled", "_granted", "_hasher", "_is_done", "_spool"),
        *("_written", "size"),
    )

    def __init__(self, spool: Spool) -> None:
        self.size = 0
        self._spool = spool
        self._granted = self._allowed = 0
        self._arena = spool.arenas.take()
        self._filled = self._written = 0  # bytes in the arena, bytes in the file
        self._hasher = blake3()
        self._file: ScratchFile | None = None
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
            held: InMemory | ScratchFile = InMemory(self._arena, self._release)
        else:
            with self._aborting():
                self._flush(self._filled)
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
                self._file.path.unlink()
            os.close(self._file.fd)

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
                count = min(CHUNK - self._filled, len(view) - done)
                end = self._filled + count
                self._arena.memory[self._filled : end] = view[done : done + count]
                self._filled, done = end, done + count
                if end == CHUNK:
                    self._flush(CHUNK)
            self.size += done

    def _begin_file(self) -> None:
        """From here on the arena holds one chunk: it leaves when it is full, and on a boundary of the file."""
        self._file = self._spool.scratch.create()
        self._flush(self._filled // CHUNK * CHUNK)
        self._arena.shrink(CHUNK)
        self._release()

    def _flush(self, length: int) -> None:
        """Hash and write the first `length` bytes of the arena, chunk by chunk; what is behind moves to its start."""
        memory, file = self._arena.memory, cast("ScratchFile", self._file)
        with memoryview(memory) as view:
            for start in range(0, length, CHUNK):
                with view[start : min(start + CHUNK, length)] as chunk:
                    self._hasher.update(chunk)
                    write_all(file.fd, chunk, self._written)
                    self._written += len(chunk)
        self._filled -= length
        memory.move(0, length, self._filled)
