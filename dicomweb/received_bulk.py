"""The bulk data of one location of a store request, as they arrive and as they lie in the spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise

from vna.dicom.build_pixels import BulkPart
from vna.errors import VnaError
from vna.spool import Spool, Spooled, SpoolWriter

SMALL = 64 * 1024
_OVERHEAD = 1024


class ReceivedBulk:
    """One part, or several that follow each other under one location: the frames of an image. Close it.

    `error`: why it can't be kept; what comes after that is passed over. `is_whole`: no piece of it is under way.
    Up to SMALL bytes are held in memory, more in the spool.
    """

    def __init__(self, spool: Spool, location: str, kind: str, transfer_syntax_uid: str) -> None:
        self.location, self._kind, self._syntax = location, kind, transfer_syntax_uid
        self.error: VnaError | None = None
        self.is_whole = False
        self._spool = spool
        self._ends, self._size = [0], 0
        self._held = bytearray()
        self._writer: SpoolWriter | None = None
        self._spooled: Spooled | None = None

    @property
    def memory_bytes(self) -> int:
        """What it takes of memory, 0 when it lies in the spool."""
        return 0 if self._size > SMALL else len(self._held) + _OVERHEAD

    def begin_piece(self) -> None:
        """The next piece begins."""
        self.is_whole = False

    def write(self, data: bytes | memoryview) -> None:
        """Some bytes of the piece under way."""
        self._size += len(data)
        if self._size <= SMALL:
            self._held += data
        elif self.error is None:
            try:
                self._spill(data)
            except VnaError as exc:
                self.error, self._writer = exc, None

    def end_piece(self) -> None:
        """The piece under way is complete."""
        self.is_whole = True
        self._ends.append(self._size)

    def finish(self) -> None:
        """No piece follows."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                self._spooled = writer.finish()
            except VnaError as exc:
                self.error = exc

    @contextmanager
    def shown(self) -> Iterator[BulkPart]:
        """The pieces, without a copy. Raises Unavailable, and `error`."""
        if self.error is not None:
            raise self.error
        with self._buffer() as buffer:
            pieces = tuple(buffer[start:end] for start, end in pairwise(self._ends))
            yield BulkPart(pieces, self._kind, self._syntax)

    def close(self) -> None:
        """Let go of the bytes."""
        if self._writer is not None:
            self._writer.abort()
        if self._spooled is not None:
            self._spooled.close()

    def _buffer(self) -> AbstractContextManager[memoryview]:
        return memoryview(self._held) if self._spooled is None else self._spooled.buffer()

    def _spill(self, data: bytes | memoryview) -> None:
        if self._writer is None:
            self._writer = self._spool.open_plain()
            self._writer.write(self._held)
            self._held = bytearray()
        self._writer.write(data)
