"""Bounded concurrency per kind of request: a lane that is full lets its requests wait, not the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

L = TypeVar("L", bound=Hashable)
T = TypeVar("T")


class Lanes(Generic[L, T]):
    """Who may go on now, and who waits for a place; each lane is first come, first served."""

    def __init__(self, places: Mapping[L, int]) -> None:
        self._free = dict(places)
        self._waiting: dict[L, deque[tuple[float, T]]] = {lane: deque() for lane in places}

    def enter(self, lane: L, item: T, deadline: float) -> bool:
        """Whether `item` has a place now; else it waits until `deadline`."""
        if self._free[lane] > 0:
            self._free[lane] -= 1
            return True
        self._waiting[lane].append((deadline, item))
        return False

    def is_crowded(self, lane: L) -> bool:
        """Whether somebody waits for a place of `lane`; any thread may ask."""
        return bool(self._waiting[lane])

    def leave(self, lane: L) -> T | None:
        """Give a place of `lane` back; the item that has it next, if one waits."""
        if self._waiting[lane]:
            return self._waiting[lane].popleft()[1]
        self._free[lane] += 1
        return None

    def expired(self, now: float) -> list[T]:
        """The items that have waited too long; they wait no more."""
        found: list[T] = []
        for waiting in self._waiting.values():
            while waiting and waiting[0][0] <= now:
                found.append(waiting.popleft()[1])
        return found
