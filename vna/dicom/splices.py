"""Bytes put into, taken out of and replaced in others, of which no more is held than that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from vna.dicom.element_writer import Buffer


class Splice(NamedTuple):
    """`data` in place of what stands from `start` to `stop`."""

    start: int
    stop: int
    data: bytes


@dataclass(frozen=True)
class Splices:
    """What changes in an object, by its positions as it is stored; they do not overlap, and are in order."""

    splices: tuple[Splice, ...]

    @classmethod
    def of(cls, splices: Iterable[Splice]) -> Splices:
        """In order; what is put at the same place keeps its order."""
        return cls(tuple(sorted(splices, key=lambda splice: splice[:2])))

    @cached_property
    def size(self) -> int:
        """Bytes that are held."""
        return sum(len(splice.data) for splice in self.splices)

    @cached_property
    def growth(self) -> int:
        """Bytes by which the object becomes longer."""
        return self.size - sum(splice.stop - splice.start for splice in self.splices)

    def part(self, start: int, stop: int) -> Splices:
        """Those between two positions, with what is put in at `stop`."""
        return Splices(
            tuple(
                splice
                for splice in self.splices
                if start <= splice.start < stop or splice.start == splice.stop == stop
            )
        )

    def applied(self, pieces: Iterable[Buffer], position: int = 0) -> Iterator[Buffer]:
        """`pieces`, which begin at `position`, with the changes behind it; as they are taken."""
        waiting = iter([splice for splice in self.splices if splice.start >= position])
        splice, gone = next(waiting, None), position
        for piece in pieces:
            view = memoryview(piece)
            while view:
                if position < gone:
                    count = min(len(view), gone - position)
                elif splice is not None and splice.start == position:
                    if splice.data:
                        yield splice.data
                    gone, splice = splice.stop, next(waiting, None)
                    continue
                else:
                    room = len(view) if splice is None else splice.start - position
                    count = min(len(view), room)
                    yield view[:count]
                view, position = view[count:], position + count
        while splice is not None and splice.start == position:
            if splice.data:
                yield splice.data
            splice = next(waiting, None)

    def origin(self, offset: int, position: int = 0) -> int:
        """Where the byte was that is at `offset` of what `applied` gives from `position` on; -1: it was put in."""
        for splice in self.splices:
            if splice.start < position:
                continue
            if offset < splice.start - position:
                break
            offset -= splice.start - position
            if offset < len(splice.data):
                return -1
            offset, position = offset - len(splice.data), splice.stop
        return position + offset
