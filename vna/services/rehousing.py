"""Takes one object out of a backend: it is written elsewhere first, then named there, then left where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vna.dicom.header import HeaderReader
from vna.errors import Corrupt, InvalidInstance, OutOfSpace, Unavailable, VnaError
from vna.index.draining import DrainIndex, Place
from vna.model.draining import Holding
from vna.model.instances import Location
from vna.model.keys import new_object_key
from vna.services.correcting import read_header
from vna.services.placement import Facts, Placement
from vna.services.storage import ObjectStore
from vna.spool import Spool, Spooled

_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Rehoused:
    """What was done: an object of `size` bytes written elsewhere, or one that was there already given its place.

    `failure`: why nothing was; `is_target`: it could not be written.
    """

    is_moved: bool = False
    is_dropped: bool = False
    size: int = 0
    failure: str = ""
    is_target: bool = False


@dataclass(frozen=True, slots=True)
class _Read:
    """Bytes that have the right digest, and the places that were found damaged before."""

    spooled: Spooled
    damaged: Sequence[Location]


class RehousingService:
    """Moves single objects. Shared by all threads; everything raises Unavailable."""

    def __init__(
        self, index: DrainIndex, objects: ObjectStore, placement: Placement, spool: Spool
    ) -> None:
        self._index, self._objects = index, objects
        self._placement, self._spool = placement, spool
        self._headers = HeaderReader()

    def rehouse(self, place: Place, backend: str, target: str) -> Rehoused:
        """Free `backend` of the location at `place` or of its copy there: to `target`, or where the rules say.

        It is written to the first place that should have it and does not, those behind that become due. Where all that
        should have it do, one of them is enough. Nothing is removed: what is not named any more is remembered as left.
        Raises Corrupt when no place has the right bytes.
        """
        holding = self._index.holding(place)
        if holding is None:
            return Rehoused()
        here = [item for item in holding.places if item.backend == backend]
        if not here and backend not in holding.due:
            return Rehoused()
        with self._healthy(holding, here) as read:
            wanted = [target] if target else self._wanted(read.spooled, holding)
            elsewhere = [item for item in holding.places if item.backend != backend]
            has_it = {item.backend for item in elsewhere}
            missing = [name for name in wanted if name not in has_it]
            # What is to be written later is wanted before anything moves: it follows its location.
            self._index.want(holding.location, missing[1:] if here else missing)
            self._index.unwant(holding.location, backend)
            if not here:
                return Rehoused()
            if missing:
                return self._write(holding, here[0], missing[0], read)
        return self._drop(holding, here[0], wanted, is_damaged=here[0] in read.damaged)

    def _write(self, holding: Holding, old: Location, backend: str, read: _Read) -> Rehoused:
        new = self._objects.place(new_object_key(), read.spooled.size, backend)
        try:
            self._objects.keep(read.spooled, new)
        except (OutOfSpace, Unavailable) as exc:
            return Rehoused(failure=str(exc), is_target=True)
        is_damaged = old in read.damaged
        if self._index.move(holding.location, old, new, is_damaged=is_damaged):
            return Rehoused(is_moved=True, size=new.length)
        self._objects.remove(
            new
        )  # the row went elsewhere meanwhile: nothing has ever named this one
        return Rehoused()

    def _drop(
        self, holding: Holding, old: Location, wanted: Sequence[str], *, is_damaged: bool
    ) -> Rehoused:
        """Give the place of `old` up: all that should have the object do, and one that stays was read to its end."""
        others = [item for item in holding.places if item.backend != old.backend]
        others.sort(key=lambda item: wanted.index(item.backend) if item.backend in wanted else 99)
        heir = next((item for item in others if self._is_intact(item, holding)), None)
        if heir is None:
            raise Corrupt(
                f"object {old.key} stays: its copies elsewhere are damaged or can't be read; "
                "run vna verify --repair"
            )
        new = heir if old == holding.location else None
        is_done = self._index.move(holding.location, old, new, is_damaged=is_damaged)
        return Rehoused(is_dropped=is_done)

    def _is_intact(self, place: Location, holding: Holding) -> bool:
        try:
            return self._objects.is_intact(place, holding.digest)
        except Unavailable:
            return False

    def _wanted(self, spooled: Spooled, holding: Holding) -> list[str]:
        """The backends that should have the object: as for a new one that came from the same peer."""
        number = holding.correction
        correction = None if number is None else self._index.corrections.find(number)
        try:
            header = read_header(self._headers, spooled, correction)
        except InvalidInstance:  # it was taken in by other means
            targets = self._placement.default
        else:
            peer = self._index.peer(holding.uids) if self._placement.asks_who_called else ""
            facts = Facts(header.sop_class_uid, spooled.size, peer, header.attributes)
            targets = self._placement.targets(facts)
        return [*targets.copies, *targets.later]

    @contextmanager
    def _healthy(self, holding: Holding, first: Sequence[Location]) -> Iterator[_Read]:
        """The bytes of the first place that has the right ones. Raises Corrupt, Unavailable."""
        damaged: list[Location] = []
        failure: VnaError | None = None
        others = [place for place in holding.places if place not in first]
        for place in (*first, *others):
            try:
                spooled = self._read(place)
            except Corrupt as exc:
                damaged.append(place)
                failure = failure or exc
                continue
            except Unavailable as exc:
                failure = exc
                continue
            with spooled:
                if spooled.digest == holding.digest:
                    yield _Read(spooled, damaged)
                    return
            damaged.append(place)
        raise failure or Corrupt(
            f"object {holding.location.key} is damaged and has no healthy copy; have it sent again"
        )

    def _read(self, place: Location) -> Spooled:
        with self._objects.open(place) as reader, self._spool.open() as writer:
            while chunk := reader.read(_CHUNK):
                writer.write(chunk)
            return writer.finish()
