"""A number of bytes that a process allows itself, shared out among its threads."""

from __future__ import annotations

import threading

BLOCK = 256 * 2**10
"""Bytes are granted in blocks of this size, so that the lock is seldom taken."""


class MemoryBudget:
    """`total` bytes to take from; safe for threads."""

    def __init__(self, total: int) -> None:
        self._left = total
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Bytes that nobody holds now."""
        return self._left

    def take(self, count: int) -> int:
        """Grant at least `count` bytes, in whole blocks; 0 when so many are not left."""
        wanted = -(-count // BLOCK) * BLOCK
        with self._lock:
            if wanted > self._left:
                return 0
            self._left -= wanted
            return wanted

    def give(self, count: int) -> None:
        """Return what was granted."""
        with self._lock:
            self._left += count
