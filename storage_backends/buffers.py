"""Page-aligned memory for bytes that pass through, used again so that its pages stay warm."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator

_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # not shared with children that are forked later


class Buffers:
    """Stretches of `size` bytes, each lent to one holder at a time; up to `idle` wait for their next use."""

    def __init__(self, size: int, idle: int) -> None:
        self._size, self._most = size, idle
        self._idle: list[mmap.mmap] = []

    @contextlib.contextmanager
    def lend(self) -> Iterator[memoryview]:
        """A stretch for the block, which keeps no view of it. Raises OSError without memory."""
        try:
            memory = self._idle.pop()
        except IndexError:
            memory = mmap.mmap(-1, self._size, flags=_FLAGS)
        with memoryview(memory) as view:
            yield view
        if len(self._idle) < self._most:
            self._idle.append(memory)

    def clear(self) -> None:
        """Unmap what waits."""
        self._idle.clear()
