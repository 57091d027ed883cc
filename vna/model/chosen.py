"""What a retrieve is about to deliver, small enough to be held whole for any number of instances."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Kind:
    """What an instance is and how it is written: its SOP class and transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """Instances by their index ids, in the order of delivery; twelve bytes each.

    `kinds` are those that occur; `kind_numbers` says for each id which of them it is. `digest` is one of
    the digests of all their objects: equal ones, equal objects in equal order.
    """

    ids: array[int] = field(default_factory=lambda: array("q"))
    kind_numbers: array[int] = field(default_factory=lambda: array("I"))
    kinds: tuple[Kind, ...] = ()
    digest: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    def of_kinds(self, wanted: frozenset[Kind]) -> array[int]:
        """The ids of the instances that are of one of the `wanted` kinds, in order."""
        numbers = {number for number, kind in enumerate(self.kinds) if kind in wanted}
        if len(numbers) == len(self.kinds):
            return self.ids
        return array("q", self._ids_of(numbers))

    def _ids_of(self, numbers: set[int]) -> Iterator[int]:
        pairs = zip(self.ids, self.kind_numbers, strict=True)
        return (instance_id for instance_id, number in pairs if number in numbers)
