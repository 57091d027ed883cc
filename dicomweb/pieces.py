"""Serialised items of a long answer: in memory up to a bound, then in the spool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from vna.spool import Spool, Spooled, SpoolWriter

MEMORY_BYTES = 2 * 2**20


class Pieces:
    """A list of JSON texts, none with a line feed in it. Close it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._writer: SpoolWriter | None = None
        self._spooled: Spooled | None = None
        self.count = 0

    @property
    def is_spooled(self) -> bool:
        """Whether they are more than memory should hold."""
        return self._writer is not None or self._spooled is not None

    def add(self, item: bytes) -> None:
        """Append. Raises OutOfSpace, Unavailable; what was there stays."""
        self._held.append(item)
        self._held_bytes += len(item)
        self.count += 1
        if self._held_bytes > MEMORY_BYTES:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        """Every item in order; nothing may be added after that."""
        if self._writer is not None:
            self._spooled, self._writer = self._writer.finish(), None
        if self._spooled is not None:
            with contextlib.closing(self._spooled.open()) as stream:
                yield from (line.removesuffix(b"\n") for line in stream)
        yield from self._held

    def close(self) -> None:
        """Let go of the spool."""
        if self._writer is not None:
            self._writer.abort()
        if self._spooled is not None:
            self._spooled.close()

    def _spill(self) -> None:
        if self._writer is None:
            self._writer = self._spool.open_plain()
        self._writer.write(b"\n".join(self._held) + b"\n")
        self._held, self._held_bytes = [], 0
