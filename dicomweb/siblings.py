"""How many clients each process of a gateway has, so that none takes many while another has none."""

from __future__ import annotations

import mmap
import time

MOST = 128
PAUSE, LONGEST_PAUSE = 0.001, 0.008
_NOBODY = -1


class Siblings:
    """Counts in memory that processes share which are forked after it was made. Their parent gives the places.

    Siblings wait on the same listening sockets, and who is awake takes a whole burst of connections before another
    has woken up: eight clients then share one processor and leave the other idle.
    """

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * MOST)).cast("i")
        self._taken: set[int] = set()
        for number in range(MOST):
            self._counts[number] = _NOBODY

    def join(self) -> Place:
        """A place for a process that is about to be forked; all that are too many share the last one."""
        number = next((free for free in range(MOST - 1) if free not in self._taken), MOST - 1)
        self._taken.add(number)
        return Place(self, number)

    def report(self, number: int, clients: int) -> None:
        """The process of place `number` has so many clients."""
        self._counts[number] = clients

    def surplus(self, number: int) -> int:
        """How many clients more that process has than the one that has fewest."""
        counts = self._counts.tolist()
        return int(counts[number] - min(count for count in counts if count != _NOBODY))

    def part(self, number: int) -> None:
        """The process of that place has ended."""
        self._taken.discard(number)
        self.report(number, _NOBODY)


class Place:
    """What one process tells its siblings, and hears from them."""

    def __init__(self, siblings: Siblings, number: int) -> None:
        self._siblings, self._number = siblings, number

    def report(self, clients: int) -> None:
        """So many clients are connected."""
        self._siblings.report(self._number, clients)

    def let_others_first(self) -> None:
        """Wait for a moment, the longer the fewer clients a sibling has: it may accept who comes now."""
        surplus = self._siblings.surplus(self._number)
        if surplus:
            time.sleep(min(surplus * PAUSE, LONGEST_PAUSE))

    def leave(self) -> None:
        """Called by the parent when the process has ended."""
        self._siblings.part(self._number)
