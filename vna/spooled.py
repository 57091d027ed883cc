"""One received object as it waits to be stored: in memory or in a file, to be read in several ways."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Self, cast

from blake3 import blake3

from storage_backends.base import Digest
from storage_backends.digests import BLAKE3
from storage_backends.errors import IntegrityError
from storage_backends.streams import MemoryStream
from vna.arenas import Arena, ArenaPool
from vna.errors import OutOfSpace, Unavailable, VnaError
from vna.spool_files import HiddenFile, Pieces, SpoolFile

CHUNK = 2**20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

Span = tuple[int, int]
"""(start, length) in bytes."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """The bytes lie at the start of `arena`; `release` is called when they are not needed any more."""

    arena: Arena
    release: Callable[[], None]


class Spooled:
    """One received object: `size` bytes with their `digest`. Close it when it is stored or not.

    It holds its file open: reading goes on when a backend has adopted `path`, which is None for what lies in memory.
    `data_key`: what the file is sealed under, b"" for one of the bytes as they came.
    """

    __slots__ = (
        *("_arenas", "_file", "_is_closed", "_lock", "_memory"),
        *("data_key", "digest", "path", "size"),
    )

    def __init__(
        self, size: int, digest: Digest, held: InMemory | SpoolFile, arenas: ArenaPool
    ) -> None:
        self.size = size
        self.digest = digest
        self._arenas = arenas
        self._memory = held if isinstance(held, InMemory) else None
        self._file = None if isinstance(held, InMemory) else held
        self.path = None if self._file is None else self._file.scratch.path
        self.data_key = held.data_key if isinstance(held, HiddenFile) else b""
        self._is_closed = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def buffer(self) -> Iterator[memoryview]:
        """All bytes in one piece: the memory itself, or the file mapped; what is sealed is written anew for it, once.

        Raises OutOfSpace, Unavailable.
        """
        view = self._view() if self._file is None else self._mapped()
        try:
            yield view
        finally:
            with contextlib.suppress(BufferError):  # somebody kept a slice: it goes with that
                view.release()

    def open(self) -> BinaryIO:
        """A fresh stream from the start; several may be open at once, none may outlive `close`."""
        if self._file is None:
            return cast("BinaryIO", MemoryStream(self._view(), vouched=self.digest))
        return io.BufferedReader(self._open_file().stream(self.size), CHUNK)

    def pieces(self) -> Pieces | None:
        """The bytes slice by slice, where `buffer` has to write them anew; reading them raises Unavailable."""
        return Pieces(self._read_into, self.size) if self.data_key else None

    def first(self, count: int) -> bytes:
        """The first `count` bytes, or as many as there are. Raises Unavailable."""
        if self._file is None:
            with self._view() as view:
                return bytes(view[:count])
        return Pieces(self._read_into, self.size)[:count]

    def digest_of(self, start: int, length: int) -> Digest:
        """The digest of one span, cut at the end of the object."""
        return self.digests([(start, length)])[0]

    def digests(self, spans: Sequence[Span]) -> list[Digest]:
        """The digest of each span, in one pass over what they cover and in bounded memory.

        Spans are cut at the end of the object. Raises Unavailable.
        """
        whole, size = (0, self.size), self.size
        if self._file is None:
            with self._view() as view:
                values = [
                    None if span == whole else blake3(view[span[0] : sum(span)]).hexdigest()
                    for span in spans
                ]
        else:
            ends = [(min(start, size), min(start + length, size)) for start, length in spans]
            values = [hasher.hexdigest() for hasher in self._hashed(ends)]
        return [self.digest if value is None else Digest(BLAKE3, value) for value in values]

    def close(self) -> None:
        """Drop the bytes, unless a backend has adopted the file; a second call does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        memory, self._memory = self._memory, None
        if memory is not None:
            self._arenas.give(memory.arena, self.size)
            memory.release()
        if self._file is not None:
            with contextlib.suppress(OSError):  # adopted, or left to the next sweep
                self._file.scratch.path.unlink()
            os.close(self._file.scratch.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _view(self) -> memoryview:
        if self._memory is None:
            raise ValueError("spooled object was closed")
        return memoryview(self._memory.arena.memory)[: self.size].toreadonly()

    def _mapped(self) -> memoryview:
        with translated():
            return self._open_file().mapped(self.size)

    def _open_file(self) -> SpoolFile:
        if self._is_closed or self._file is None:
            raise ValueError("spooled object was closed")
        return self._file

    def _read_into(self, target: memoryview, position: int) -> int:
        with translated():
            return self._open_file().read_into(target, position)

    def _hashed(self, ends: Sequence[Span]) -> list[blake3]:
        """A hasher for each (start, end), fed by one pass over the file."""
        hashers = [blake3() for _ in ends]
        low = min((start for start, _ in ends), default=0) // CHUNK * CHUNK
        high = max((end for _, end in ends), default=0)
        arena = self._arenas.take()
        try:
            for position in range(low, high, CHUNK):
                with self._read(arena, position) as chunk:
                    _feed(hashers, ends, position, chunk)
        finally:
            self._arenas.give(arena, CHUNK)
        return hashers

    def _read(self, arena: Arena, position: int) -> memoryview:
        length = min(CHUNK, self.size - position)
        target = memoryview(arena.memory)[:length]
        if self._read_into(target, position) != length:
            raise Unavailable("spool: a file of the spool was cut short by somebody else")
        return target


def _feed(
    hashers: Sequence[blake3], ends: Sequence[Span], position: int, chunk: memoryview
) -> None:
    for hasher, (start, end) in zip(hashers, ends, strict=True):
        begin, stop = max(start - position, 0), min(end - position, len(chunk))
        if begin < stop:
            hasher.update(chunk[begin:stop])


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The operating system's errors in the archive's words."""
    try:
        yield
    except OSError as exc:
        raise translate(exc) from exc
    except IntegrityError as exc:
        raise Unavailable(f"spool: somebody has changed a file of the spool: {exc}") from exc


def translate(error: OSError) -> VnaError:
    """OutOfSpace or Unavailable."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return OutOfSpace(
            f"spool: {reason}; the spool's file system needs room, and to be writable"
        )
    return Unavailable(f"spool: {reason}")
