"""Memory into which request bodies are received, used again so that its pages stay warm."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Buffers:
    """Lends buffers of PIECE bytes and a little more; a few wait for their next use. Shared by threads."""

    PIECE = 256 * 1024
    _ROOM = PIECE + 32 * 1024  # what a multipart decoder may hold besides
    _MAX_IDLE = 8

    def __init__(self) -> None:
        self._idle: deque[bytearray] = deque(maxlen=self._MAX_IDLE)

    @contextmanager
    def lent(self) -> Iterator[bytearray]:
        """A buffer for one request; what it holds is anybody's."""
        try:
            buffer = self._idle.pop()
        except IndexError:
            buffer = bytearray(self._ROOM)
        try:
            yield buffer
        finally:
            self._idle.append(buffer)
