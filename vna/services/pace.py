"""A limit of bytes a second that many threads share, and waiting that can be ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Lets through `rate` bytes a second, 0 for all; who is too fast waits, and all wait together.

    `wait` gets the seconds to wait.
    """

    def __init__(self, rate: int, wait: Callable[[float], object] = time.sleep) -> None:
        self._rate, self._wait = rate, wait
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def __call__(self, size: int) -> None:
        """Account for `size` bytes, and wait until more may come."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self._rate
            delay = self._free_at - now
        if delay > 0:
            self._wait(delay)


def wait_while(seconds: float, should_stop: Callable[[], bool]) -> None:
    """Wait, but not on when the work is to end."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not should_stop():
        time.sleep(min(left, 0.5))
