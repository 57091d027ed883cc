"""The instances that a C-MOVE or C-GET still has to send, loaded page by page, and those to try again."""

from __future__ import annotations

import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from vna.model.instances import StoredInstance

PAGE = 250
"""Instances whose rows are in memory at a time: about a kilobyte each."""

FIRST_PAGE = 16
"""So many are loaded before anything is sent; the next ones while the first are on their way."""

Load = Callable[[Sequence[int]], list[StoredInstance]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An instance to send, and how often that has been tried in vain."""

    instance: StoredInstance
    tries: int = 0


class Feed:
    """Hands out each instance once, in order; may be used by several threads.

    `load` gives the rows of ids, and those that are gone are told to `lost` by their number.
    """

    def __init__(self, ids: array[int], load: Load, lost: Callable[[int], None]) -> None:
        self._lock = threading.Lock()
        self._ids, self._load, self._lost = ids, load, lost
        self._position = 0
        self._ready: deque[Attempt] = deque()
        self._again: list[Attempt] = []

    @property
    def is_drained(self) -> bool:
        """Whether `take` finds nothing."""
        return not self._ready and self._position >= len(self._ids)

    def take(self) -> Attempt | None:
        """The next one, None when there is none left but those to be tried again.

        Raises Unavailable.
        """
        with self._lock:
            while not self._ready and not self.is_drained:
                size = PAGE if self._position else min(FIRST_PAGE, PAGE)
                page = self._ids[self._position : self._position + size]
                loaded = self._load(page)
                self._position += len(page)
                self._lost(len(page) - len(loaded))
                self._ready.extend(map(Attempt, loaded))
            return self._ready.popleft() if self._ready else None

    def give_back(self, attempts: Iterable[Attempt]) -> None:
        """Those were handed out and never sent: they are next."""
        with self._lock:
            self._ready.extendleft(reversed(list(attempts)))

    def try_again(self, attempt: Attempt) -> None:
        """It failed in a way that may pass: it is kept for a fresh association."""
        with self._lock:
            self._again.append(replace(attempt, tries=attempt.tries + 1))

    def restart(self) -> int:
        """Where `take` finds nothing else, let it find what is to be tried again.

        Gives how often the worst of that has been tried, 0 when there is nothing to be tried again.
        """
        with self._lock:
            if not self.is_drained or not self._again:
                return 0
            self._ready.extend(self._again)
            self._again.clear()
            return max(attempt.tries for attempt in self._ready)
