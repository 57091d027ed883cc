"""Writes the copies that are due, and anew what could not be read, from an object that can."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import cast

from storage_backends.base import ObjectReader
from vna import metrics
from vna.errors import Corrupt, Unavailable, VnaError
from vna.index.replicas import ReplicaIndex
from vna.model.identifiers import Origin
from vna.model.instances import Location
from vna.model.keys import new_object_key
from vna.model.replicas import Copied, DueCopy
from vna.services.at_once import AtOnce
from vna.services.sources import Sources
from vna.services.storage import Condition, ObjectStore

log = logging.getLogger(__name__)

HOLD_SECONDS = 120.0
"""For how long what was taken is left to who took it; whoever works on it takes it anew meanwhile."""

_THREADS = 4
_BATCH = 16
_PIECE = 2**20
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0
_SURE = 5
"""So often an object is tried that could not be read, before it counts as lost while others can be written there."""


class ReplicationService:
    """Works off what is due. Several processes may; killed at any moment, another goes on."""

    def __init__(self, replicas: ReplicaIndex, objects: ObjectStore) -> None:
        self.index = replicas
        self._objects = objects
        self._sources = Sources(replicas, objects)

    def work(self, origin: Origin, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Do what is due now; how many objects were written.

        What can't be done is postponed and holds up nothing else; a backend that does not answer is left alone for
        the rest of this call. Raises Unavailable when the index does not answer.
        """
        written = 0
        down: set[str] = set()
        with AtOnce(_THREADS, "copy", ahead=_THREADS + 1) as threads:
            work = (
                partial(self._attempted, due, origin, down) for due in self._due(down, should_stop)
            )
            for outcome in threads.results(work):
                written += outcome in {Copied.COPIED, Copied.HEALED}
        if written:
            log.info("copies were written", extra={"objects": written})
        return written

    def heal(self, place: Location, origin: Origin) -> Copied:
        """Look at `place`, a location or a copy, now: written anew from another object when it is broken.

        GONE where there is no other. Raises Corrupt when no other is healthy, Unavailable; it is tried again then.
        """
        self.index.doubt(place)
        due = self.index.take_one(place, HOLD_SECONDS)
        if due is None:
            return Copied.GONE
        try:
            outcome = self._done(due, origin)
        except VnaError as exc:
            self._postpone(due, exc)
            raise
        metrics.COPIES_DONE.labels(due.backend, outcome.value).inc()
        return outcome

    def _due(self, down: set[str], should_stop: Callable[[], bool]) -> Iterator[DueCopy]:
        while not should_stop():
            taken = self.index.take(_BATCH, HOLD_SECONDS, sorted(down))
            if not taken:
                return
            yield from taken

    def _attempted(self, due: DueCopy, origin: Origin, down: set[str]) -> Copied:
        outcome = Copied.POSTPONED
        try:
            outcome = self._done(due, origin, down)
        except TargetAway as exc:
            down.add(due.backend)
            self._postpone(due, exc)
        except VnaError as exc:
            self._postpone(due, exc)
        except Exception as exc:
            log.exception("a copy failed", extra=_names(due))
            self._postpone(due, Unavailable(f"unexpected: {exc!r}"))
        metrics.COPIES_DONE.labels(due.backend, outcome.value).inc()
        return outcome

    def _postpone(self, due: DueCopy, error: VnaError) -> None:
        delay = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(due.attempts, 10))
        log.warning("a copy has to wait: %s", error, extra=_names(due))
        self.index.postpone(due, delay, str(error))

    def _done(self, due: DueCopy, origin: Origin, down: Collection[str] = ()) -> Copied:
        if due.backend in down:
            raise TargetAway(f"storage backend {due.backend} does not answer")
        if due.known is not None and self._is_intact(due, due.known):
            self.index.trusted(due)
            return Copied.INTACT
        if due.backend in self._objects.draining:
            raise Unavailable(f"storage backend {due.backend} is being drained: see vna storage")
        target = self._objects.place(new_object_key(), due.of.length, due.backend)
        source = self._written(due, target)
        if not self.index.written(due, target, source, origin):
            self._objects.remove(target)
            return Copied.GONE
        if due.known is None:
            return Copied.COPIED
        log.error(
            "a stored object was lost or damaged; it was written anew from a copy",
            extra=_names(due) | {"from": source.backend},
        )
        return Copied.HEALED

    def _is_intact(self, due: DueCopy, known: Location) -> bool:
        holding = _Holding(self.index, due)
        condition = self._objects.examine(known, due.digest, holding)
        if condition is Condition.UNREADABLE and due.attempts < _SURE:
            raise Unavailable(f"object {known.key} can't be read in {known.backend} now")
        return condition is Condition.INTACT

    def _written(self, due: DueCopy, target: Location) -> Location:
        """The object from which `target` was written. Raises TargetAway, Corrupt, Unavailable."""
        first: VnaError | None = None
        for source in self._sources.places(due.of):
            if source == due.known:
                continue
            try:
                self._copy(source, target, due)
            except TargetAway:
                raise
            except (Corrupt, Unavailable) as exc:
                first = first or exc
                self._sources.doubt(source, exc)
            else:
                return source
        raise first or Corrupt(f"no other object has the bytes of {due.of.key}")

    def _copy(self, source: Location, target: Location, due: DueCopy) -> None:
        with self._objects.open(source) as reader:
            stream = _Stream(reader, _Holding(self.index, due))
            try:
                buffered = io.BufferedReader(stream, _PIECE)
                self._objects.write(target, cast("ObjectReader", buffered), due.digest)
            except Unavailable as exc:
                if stream.has_failed:
                    raise
                raise TargetAway(str(exc)) from exc


class TargetAway(Unavailable):
    """The backend that is to get an object does not take it."""


class _Holding:
    """Takes what was taken anew, from time to time, while bytes pass."""

    def __init__(self, index: ReplicaIndex, due: DueCopy) -> None:
        self._index, self._due = index, due
        self._renewed = time.monotonic()

    def __call__(self, _size: int) -> None:
        if time.monotonic() - self._renewed > HOLD_SECONDS / 3:
            self._index.hold(self._due, HOLD_SECONDS)
            self._renewed = time.monotonic()


class _Stream(io.RawIOBase):
    """A reader as what a backend puts from."""

    def __init__(self, reader: ObjectReader, on_bytes: Callable[[int], object]) -> None:
        self._reader, self._on_bytes = reader, on_bytes
        self.has_failed = False

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview, /) -> int:  # type: ignore[override]
        try:
            data = self._reader.read(len(target))
            self._on_bytes(len(data))
        except VnaError:
            self.has_failed = True
            raise
        target[: len(data)] = data
        return len(data)


def _names(due: DueCopy) -> dict[str, str]:
    return {
        "key": due.of.key,
        "backend": due.backend,
        "sop_instance_uid": due.uids.sop_instance_uid,
    }
