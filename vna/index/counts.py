"""Numbers of matches that were counted, and when each was true."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from vna.model.query import Query

_MOST_REMEMBERED = 256
_NOT_AGAIN = 60.0
"""Seconds for which a count that took too long is not tried again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Count:
    """A number of matches, and the snapshot of Postgres in which there were so many."""

    moment: str = ""
    number: int = 0


class Counts:
    """What was counted last, for all threads. Bounded, whatever is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[bytes, Count] = OrderedDict()
        self._slow: OrderedDict[bytes, float] = OrderedDict()

    def last(self, query: Query) -> Count:
        """What was counted last of just this search."""
        with self._lock:
            return self._counts.get(_digest(query), Count())

    def keep(self, query: Query, count: Count) -> None:
        """Remember `count`."""
        self._put(self._counts, _digest(query), count)

    def keep_slow(self, statement: bytes) -> None:
        """Remember that counting by `statement` took too long, whatever its values."""
        self._put(self._slow, statement, time.monotonic() + _NOT_AGAIN)

    def is_slow(self, statement: bytes) -> bool:
        """Whether counting by `statement` took too long within the last minute."""
        with self._lock:
            return self._slow.get(statement, 0.0) > time.monotonic()

    def _put(self, memory: OrderedDict[bytes, T], key: bytes, value: T) -> None:
        with self._lock:
            memory[key] = value
            memory.move_to_end(key)
            if len(memory) > _MOST_REMEMBERED:
                memory.popitem(last=False)


def _digest(query: Query) -> bytes:
    """Stands for what decides which records match: lists of thousands of UIDs among it."""
    asked = repr((query.level, query.filters, query.fuzzy, query.utc_offset))
    return hashlib.blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=16).digest()
