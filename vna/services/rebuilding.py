"""The index made anew from the objects alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile

from vna.errors import Corrupt, InvalidInstance
from vna.index.verification import VerificationIndex
from vna.model.identifiers import Origin
from vna.model.instances import Location
from vna.model.verification import Adoption
from vna.services.at_once import AtOnce
from vna.services.merging import merged
from vna.services.repair import RepairService
from vna.services.storage import ObjectStore


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild has done so far: `outcomes` as a store would have had them, or copies of what lies in another
    backend, and how many objects it `refused`.
    """

    objects: int = 0
    size: int = 0
    outcomes: Counter[Adoption] = field(default_factory=Counter)
    refused: int = 0


class RebuildService:
    """Registers every object that no row names, by key: in the order of reception, but for those of one minute.

    The same object in two backends is one instance with a copy.
    """

    def __init__(
        self, index: VerificationIndex, objects: ObjectStore, repair: RepairService
    ) -> None:
        self._index, self._objects, self._repair = index, objects, repair

    def rebuild(
        self,
        origin: Origin,
        on_refusal: Callable[[Location, str], object],
        on_progress: Callable[[Rebuilt], object] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
        threads: int = 4,
    ) -> Rebuilt:
        """Harmless to repeat, and to cut off at any moment; no object is changed or removed. Raises Unavailable.

        `threads` objects are read and registered at once.
        """
        rebuilt = Rebuilt()
        for name in self._backends():
            # One after the other: what lies in the first of them is no copy of what lies in the next.
            with AtOnce(threads, "rebuild") as pool:
                work = (partial(self._adopted, place, origin) for place in self._unnamed(name))
                for place, outcome, reason in pool.results(
                    takewhile(lambda _: not should_stop(), work)
                ):
                    if outcome is None:
                        rebuilt.refused += 1
                        on_refusal(place, reason)
                    else:
                        rebuilt.outcomes[outcome] += 1
                    rebuilt.objects += 1
                    rebuilt.size += place.length
                    on_progress(rebuilt)
        return rebuilt

    def _adopted(self, place: Location, origin: Origin) -> tuple[Location, Adoption | None, str]:
        try:
            return place, self._repair.adopt(place, origin, spares=True), ""
        except (InvalidInstance, Corrupt) as exc:
            return place, None, str(exc)

    def _unnamed(self, name: str) -> Iterator[Location]:
        for key, found, rows in merged(self._objects.scan(name), self._index.rows(name)):
            if found is not None and not rows:
                yield Location(name, key, 0, found.size)

    def _backends(self) -> list[str]:
        """The one that is read first at the head, those that are being drained at the end: who comes first has the
        location, who comes later a copy.
        """
        objects = self._objects
        return sorted(
            objects.names,
            key=lambda name: (name in objects.draining, name != objects.default, name),
        )
