"""What was used last, up to a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The most recently used values by key, which together cost `most` at most: entries, unless `cost` says what one
    costs. Shared by all threads.
    """

    def __init__(self, most: int, cost: Callable[[V], int] = lambda _: 1) -> None:
        self._most, self._cost = most, cost
        self._spent = 0
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value, or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> V:
        """Keep `value`, which is given back; the oldest make room."""
        with self._lock:
            replaced = self._values.pop(key, None)
            self._spent += self._cost(value) - (0 if replaced is None else self._cost(replaced))
            self._values[key] = value
            while self._spent > self._most:
                self._spent -= self._cost(self._values.popitem(last=False)[1])
        return value
