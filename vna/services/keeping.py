"""Makes a received object durable wherever it has to be before it is acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from vna.errors import VnaError
from vna.model.instances import Location
from vna.model.keys import new_object_key
from vna.services.placement import Targets
from vna.services.storage import ObjectStore
from vna.spooled import Spooled

log = logging.getLogger(__name__)


class Keeping:
    """The one attempt to make an object durable, and what came of it."""

    __slots__ = ("_objects", "_spooled", "copies", "error", "is_done", "later", "location")
    removes = True
    """Whether the object goes when it turns out to be a duplicate."""

    def __init__(self, objects: ObjectStore, spooled: Spooled, targets: Targets) -> None:
        self._objects, self._spooled = objects, spooled
        self.location, *copies = (
            objects.place(new_object_key(), spooled.size, name) for name in targets.copies
        )
        self.copies = tuple(copies)
        self.later = targets.later
        self.is_done = False
        self.error: VnaError | None = None

    def run(self) -> None:
        """Keep the object and its copies; does nothing once that is done. Raises OutOfSpace, Unavailable, Corrupt."""
        if self.is_done:
            return
        try:
            if self.copies:
                self._keep_all()
            else:
                self._objects.keep(self._spooled, self.location)
        except VnaError as exc:
            self.error = exc
            raise
        self.is_done = True

    def remove(self) -> None:
        """Remove what was kept; what can't be removed now is found by a verification."""
        self._remove((self.location, *self.copies))

    def _remove(self, places: Iterable[Location]) -> None:
        for place in places:
            try:
                self._objects.remove(place)
            except VnaError as exc:
                log.warning(
                    "an object that nobody needs is not removed: %s",
                    exc,
                    extra={"key": place.key, "backend": place.backend},
                )

    def _keep_all(self) -> None:
        """All at once, here the location. Where one fails the others go: the index knows of none of them yet."""
        kept: list[Location] = []
        try:
            with ThreadPoolExecutor(len(self.copies), "copies") as threads:
                copies = [threads.submit(self._keep_one, place, kept) for place in self.copies]
                self._keep_one(self.location, kept)
                for copy in copies:
                    copy.result()
        except BaseException:
            self._remove(kept)
            raise

    def _keep_one(self, place: Location, kept: list[Location]) -> None:
        self._objects.keep(self._spooled, place, adopts=place is self.location)
        kept.append(place)


class Kept(Keeping):
    """An object that was durable before: there is nothing to do but to copy it, some time, to where it has to be."""

    __slots__ = ()

    def __init__(
        self, objects: ObjectStore, spooled: Spooled, targets: Targets, location: Location
    ) -> None:
        super().__init__(objects, spooled, targets)
        self.location, self.copies = location, ()
        self.later = tuple(
            name for name in (*targets.copies, *targets.later) if name != location.backend
        )

    def run(self) -> None:
        self.is_done = True


class Spared(Kept):
    """The same, to be left where it is whatever comes of it."""

    __slots__ = ()
    removes = False
