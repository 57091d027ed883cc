"""Page-aligned memory that received objects lie in, one after the other, so that its pages stay warm."""

from __future__ import annotations

import mmap
import threading

from vna.errors import Unavailable

PAGE = 4096
MAX_IDLE = 64
"""Arenas that wait for their next use; more are unmapped."""
WARM_BYTES = 32 * 2**20
"""What all waiting arenas together may keep of their pages; the rest goes back to the system."""

_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)


_GONE = mmap.mmap(-1, PAGE)
_GONE.close()  # whoever touches it gets a ValueError


class Arena:
    """One stretch of memory for one holder, who loses `memory` when giving it back.

    `warm`: bytes from the start that have been written to since pages were given back.
    """

    __slots__ = ("memory", "warm")

    def __init__(self, memory: mmap.mmap, warm: int = 0) -> None:
        self.memory = memory
        self.warm = warm

    def shrink(self, kept: int) -> None:
        """Give the system back what lies behind the first `kept` bytes, whole pages of it. Raises OSError."""
        kept = -(-kept // PAGE) * PAGE
        if kept < len(self.memory):
            self.memory.madvise(mmap.MADV_DONTNEED, kept, len(self.memory) - kept)
        self.warm = min(self.warm, kept)


class ArenaPool:
    """Arenas of `capacity` bytes, of which only what is touched takes memory. Shared by threads."""

    def __init__(self, capacity: int) -> None:
        self.capacity = max(PAGE, -(-capacity // PAGE) * PAGE)
        self._idle: list[Arena] = []
        self._warm = 0
        self._lock = threading.Lock()

    def take(self) -> Arena:
        """An arena that nobody else has; what it holds is anybody's. Raises Unavailable without memory."""
        with self._lock:
            if self._idle:
                arena = self._idle.pop()
                self._warm -= arena.warm
                return arena
        try:
            return Arena(mmap.mmap(-1, self.capacity, flags=_FLAGS))
        except OSError as exc:
            raise Unavailable(f"no memory for received bytes: {exc.strerror}") from exc

    def give(self, arena: Arena, used: int) -> None:
        """Return an arena of which `used` bytes were written; a second call does nothing.

        The memory goes to its next holder in another Arena: who gave it back can't write to it any more. Where
        somebody still holds a view, it is left to that view: nobody may see the next object there.
        """
        with self._lock:
            memory, arena.memory = arena.memory, _GONE
        if memory is _GONE:
            return
        try:
            memory.resize(len(memory))  # the cheap way to ask whether views are left
        except (BufferError, SystemError, OSError):
            return
        warm = -(-max(arena.warm, used) // PAGE) * PAGE
        if not self._keep(Arena(memory, warm)):
            memory.close()

    def close(self) -> None:
        """Unmap what waits."""
        with self._lock:
            idle, self._idle, self._warm = self._idle, [], 0
        for arena in idle:
            arena.memory.close()

    def _keep(self, arena: Arena) -> bool:
        """Let it wait for its next use, if there is room for one more."""
        with self._lock:
            room = WARM_BYTES - self._warm
            if len(self._idle) >= MAX_IDLE or room < 0:
                return False
            if room < arena.warm:
                try:
                    arena.shrink(room)
                except OSError:
                    return False
            self._warm += arena.warm
            self._idle.append(arena)
        return True
