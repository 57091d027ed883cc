"""Places that could not be read a moment ago: they are tried last for a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from vna.errors import Unavailable, VnaError
from vna.model.instances import Location

BACKEND_SECONDS = 10.0
PLACE_SECONDS = 600.0
_MOST = 10_000


class Doubts:
    """Shared by all threads of a process.

    One object that is damaged says nothing of others; a storage that does not answer keeps everybody waiting.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._places: OrderedDict[tuple[str, str, int], float] = OrderedDict()
        self._backends: dict[str, float] = {}

    def add(self, place: Location, error: VnaError) -> None:
        """Reading `place` ended with `error`."""
        now = self._now()
        with self._lock:
            if isinstance(error, Unavailable):
                self._backends[place.backend] = now + BACKEND_SECONDS
                return
            name = _name(place)
            self._places[name] = now + PLACE_SECONDS
            self._places.move_to_end(name)
            if len(self._places) > _MOST:
                self._places.popitem(last=False)

    def has(self, place: Location) -> bool:
        """Whether another place is the better choice."""
        if not self._places and not self._backends:
            return False
        now = self._now()
        until = self._places.get(_name(place), 0.0), self._backends.get(place.backend, 0.0)
        return max(until) > now


def _name(place: Location) -> tuple[str, str, int]:
    return place.backend, place.key, place.offset
