"""Which patients, studies and series this process has just registered, so that it need not send them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from vna.index.differences import SharedAttributes
from vna.model.instances import NewInstance
from vna.model.query import JsonElement

CAPACITY = 512

_Levels = tuple[dict[str, JsonElement], dict[str, JsonElement], dict[str, JsonElement]]


class KnownSeries(NamedTuple):
    """The id of a series, and what its instances share; None where they are kept whole."""

    series_id: int
    shared: SharedAttributes | None


class KnownParents:
    """The last series stored and what their instances said of patient, study and series; safe for threads.

    Only a hint: the index checks that the rows are there still, and asks for everything when they are not. A series
    that was deleted and stored anew has another id.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._levels: OrderedDict[tuple[str, str], tuple[KnownSeries, _Levels]] = OrderedDict()
        self._lock = threading.Lock()

    def series_of(self, new: NewInstance) -> KnownSeries | None:
        """The series when its last stored instance said exactly the same of all levels above it."""
        with self._lock:
            known = self._levels.get(_key(new))
        return known[0] if known is not None and known[1] == _levels(new) else None

    def touch(self, new: NewInstance) -> None:
        """An instance of a known series was stored: others make room first."""
        with self._lock:
            if _key(new) in self._levels:
                self._levels.move_to_end(_key(new))

    def add(self, new: NewInstance, series: KnownSeries) -> None:
        """Remember what a stored instance said; the oldest series make room."""
        with self._lock:
            self._levels[_key(new)] = series, _levels(new)
            self._levels.move_to_end(_key(new))
            while len(self._levels) > self._capacity:
                self._levels.popitem(last=False)


def _key(new: NewInstance) -> tuple[str, str]:
    return new.uids.study_instance_uid, new.uids.series_instance_uid


def _levels(new: NewInstance) -> _Levels:
    return new.attributes.patient, new.attributes.study, new.attributes.series
