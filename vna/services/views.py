"""Who has looked at which study of late: so that the audit trail names it once, not once a frame."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

Viewing = tuple[str, str, str]
"""User, network address, Study Instance UID."""


class RecentViews:
    """Remembers up to `max_views` viewings for `seconds`; safe for threads."""

    def __init__(
        self, seconds: float, max_views: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._max_views = max_views
        self._clock = clock
        self._until: OrderedDict[Viewing, float] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, viewing: Viewing) -> bool:
        """Whether `viewing` has not been seen of late; it has now."""
        now = self._clock()
        with self._lock:
            if self._until.get(viewing, now) > now:
                return False
            self._until[viewing] = now + self._seconds
            self._until.move_to_end(viewing)
            while len(self._until) > self._max_views:
                self._until.popitem(last=False)
            return True

    def forget(self, viewing: Viewing) -> None:
        """Let `viewing` be new again."""
        with self._lock:
            self._until.pop(viewing, None)
