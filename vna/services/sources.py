"""Reads stored bytes from the first place that has them: the location, else one of its copies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from storage_backends.base import Digest, FileSpan, ObjectReader, span_of
from storage_backends.streams import read_exactly
from storage_backends.wrapping import WrappedReader
from vna import metrics
from vna.errors import Corrupt, Unavailable, VnaError
from vna.index.replicas import ReplicaIndex
from vna.interrupts import check_interrupt
from vna.model.instances import Location
from vna.services.storage import ObjectStore
from vna.services.verified import VerifiedReader, check_digest

log = logging.getLogger(__name__)

T = TypeVar("T")

_PIECE = 2**20


class Sources:
    """Everything that is read for a peer passes here. Shared by all threads.

    A place that fails is left for the next one, and healed by a background job: see ReplicationService.
    """

    def __init__(self, replicas: ReplicaIndex, objects: ObjectStore) -> None:
        self.objects = objects
        self._replicas = replicas
        self._doubts = objects.doubts

    def attempt(self, location: Location, read: Callable[[Location], T]) -> T:
        """What `read` gives for the first place of these bytes for which it raises neither Corrupt nor Unavailable.

        Raises what it raised for the first one where all fail. It is called with other places only where nothing
        of its results was used.
        """
        if not self.objects.has_several:
            return read(location)
        return Search(self, location).next(read)

    def open(
        self, location: Location, *, start: int = 0, length: int | None = None
    ) -> ObjectReader:
        """The bytes of `location` from `start` on, cut at its end, read on from another place where one fails.

        Raises Corrupt, Unavailable; so may reading.
        """
        if not self.objects.has_several:
            return self.objects.open(location, start=start, length=length)
        return SearchingReader(self, location, start, length)

    def open_verified(self, location: Location, digest: Digest) -> ObjectReader:
        """All bytes of `location`; reading raises Corrupt instead of the last when they are not those of `digest`."""
        reader = self.open(location)
        blame = reader.blame if isinstance(reader, SearchingReader) else None
        return VerifiedReader(reader, digest, location.length, location.key, blame)

    def load(self, location: Location, digest: Digest) -> bytes:
        """All bytes of `location` in memory, verified. Raises Corrupt, Unavailable."""

        def load(place: Location) -> bytes:
            with self.objects.open(place) as reader:
                data = read_exactly(reader, place.length)
            check_digest(data, digest, place.key)
            return data

        return self.attempt(location, load)

    def verify(self, location: Location, digest: Digest) -> None:
        """Read all bytes of `location` and compare their digest. Raises Corrupt, Unavailable, Abandoned."""

        def read(place: Location) -> None:
            with VerifiedReader(
                self.objects.open(place), digest, place.length, place.key
            ) as reader:
                while reader.read(_PIECE):
                    check_interrupt()

        self.attempt(location, read)

    def doubt(self, place: Location, error: VnaError) -> None:
        """What was read of `place` ended with `error`: have it looked at, and read it last meanwhile."""
        if self.objects.has_several:
            self._doubts.add(place, error)
            self.heal(place)

    def suspect(self, place: Location, error: VnaError) -> None:
        """As `doubt`, but nobody is to look at it yet."""
        self._doubts.add(place, error)

    def heal(self, place: Location) -> None:
        """Have `place` looked at by whoever heals; what it takes to note that may be away, and reading goes on."""
        try:
            self._replicas.doubt(place)
        except VnaError as exc:
            log.warning("an object that could not be read is not noted: %s", exc, extra=_of(place))

    def places(self, location: Location) -> Iterator[Location]:
        """Where these bytes lie, the best place first; the copies are looked up when the location is not enough."""
        is_doubted = self._doubts.has(location)
        if not is_doubted:
            yield location
        copies = self._copies(location)
        yield from (place for place in copies if not self._doubts.has(place))
        if is_doubted:
            yield location
        yield from (place for place in copies if self._doubts.has(place))

    def _copies(self, location: Location) -> list[Location]:
        try:
            return self._replicas.copies_of(location)
        except Unavailable as exc:
            log.warning("copies can't be looked up: %s", exc, extra=_of(location))
            return []


class Search:
    """One way through the places of some bytes."""

    def __init__(self, sources: Sources, location: Location) -> None:
        self._sources = sources
        self._location = location
        self._places = sources.places(location)
        self._tried: set[Location] = set()
        self._failed: list[Location] = []
        self._first: VnaError | None = None
        self.place = location

    def next(self, read: Callable[[Location], T]) -> T:
        """What `read` gives for the next place that it can be read from. Raises what failed first."""
        for place in self._places:
            if place in self._tried:  # its doubts have ended meanwhile
                continue
            self._tried.add(place)
            try:
                found = read(place)
            except (Corrupt, Unavailable) as exc:
                self.failed(place, exc)
            else:
                self._found(place)
                return found
        raise self._first or Corrupt(f"stored object {self._location.key} can't be read anywhere")

    def failed(self, place: Location, error: VnaError) -> None:
        """Note that `place` is no good."""
        self._first = self._first or error
        self._failed.append(place)
        self._sources.suspect(place, error)

    def _found(self, place: Location) -> None:
        self.place = place
        if place != self._location:
            metrics.READS_FROM_COPIES.labels(place.backend).inc()
        for failed in self._failed:
            log.warning(
                "an object could not be read; a copy was: %s", self._first, extra=_of(failed)
            )
            self._sources.heal(failed)
        self._failed.clear()


class SearchingReader(WrappedReader):
    """The bytes of a location from `start` on, from one place after another where they fail."""

    def __init__(
        self, sources: Sources, location: Location, start: int, length: int | None
    ) -> None:
        available = max(0, location.length - start)
        self._sources = sources
        self._search = Search(sources, location)
        self._position = start
        self._left = available if length is None else min(max(0, length), available)
        self._used: list[Location] = []
        super().__init__(self._opened())

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises Corrupt, Unavailable."""
        while True:
            try:
                data = self._inner.read(size)
            except (Corrupt, Unavailable) as exc:
                self._go_on(exc)
            else:
                self._position += len(data)
                self._left -= len(data)
                return data

    def span(self) -> FileSpan | None:
        """All that was not read yet as a part of an open file, see SupportsSpan; None where it lies in none."""
        while True:
            try:
                return span_of(self._inner)
            except Corrupt as exc:
                self._go_on(exc)

    def blame(self, error: VnaError) -> None:
        """All bytes together turned out to be wrong."""
        for place in self._used:
            self._sources.doubt(place, error)

    def _go_on(self, error: VnaError) -> None:
        self._search.failed(self._search.place, error)
        self._inner.close()
        self._inner = self._opened()

    def _opened(self) -> ObjectReader:
        start, length, objects = self._position, self._left, self._sources.objects
        reader = self._search.next(lambda place: objects.open(place, start=start, length=length))
        self._used.append(self._search.place)
        return reader


def _of(place: Location) -> dict[str, str]:
    return {"key": place.key, "backend": place.backend}
