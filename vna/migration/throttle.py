"""Ceilings of instances and bytes a second that the threads of a worker share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LOOK_EVERY = 0.1


class Throttle:
    """Lets instances through at `instances` and `size` (bytes) a second, 0 for no bound; who is too fast waits.

    The bounds may be changed at any time. `now` and `wait` are a clock and a pause, for tests.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.instances = self.size = 0.0
        self._now, self._wait = now, wait
        self._lock = threading.Lock()
        self._free_at = 0.0

    def __call__(self, size: int, should_stop: Callable[[], bool]) -> None:
        """Account for an instance of `size` bytes, and wait until it may pass, but not when the work is to end."""
        with self._lock:
            now = self._now()
            cost = self._cost(size)
            self._free_at = max(self._free_at, now)
            turn, self._free_at = self._free_at, self._free_at + cost
        while (left := turn - self._now()) > 0 and not should_stop():
            self._wait(min(left, _LOOK_EVERY))

    def _cost(self, size: int) -> float:
        """Seconds until the next instance may pass."""
        return max(
            1 / self.instances if self.instances > 0 else 0.0,
            size / self.size if self.size > 0 else 0.0,
        )
