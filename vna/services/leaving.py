"""Removes objects that were moved elsewhere, once those who read them had the time to finish."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vna.errors import VnaError
from vna.index.draining import DrainIndex
from vna.model.instances import Location
from vna.services.storage import ObjectStore

log = logging.getLogger(__name__)

_RETRY = 600.0


class LeftObjects:
    """What was moved and stays for a while where it was. Shared by all threads."""

    def __init__(self, index: DrainIndex, objects: ObjectStore) -> None:
        self._index, self._objects = index, objects

    def remove(self, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Remove those whose time has passed, each from its backend and then from the index; returns how many.

        An object that something still names (a part of) stays. What can't be removed now holds up nothing else, and
        is tried again the next time. Raises Unavailable when the index does not answer.
        """
        removed = 0
        while not should_stop() and (found := self._index.expired()):
            for place, is_needed in found:
                removed += self._remove(place, is_needed=is_needed)
        return removed

    def _remove(self, place: Location, *, is_needed: bool) -> bool:
        try:
            if not is_needed:
                self._objects.remove(place)
        except VnaError as exc:
            log.warning(
                "a moved object could not be removed; it is tried again: %s",
                exc,
                extra={"backend": place.backend, "key": place.key},
            )
            self._index.postpone(place, _RETRY)
            return False
        self._index.forget(place)
        return True
