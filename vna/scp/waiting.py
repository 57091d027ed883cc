"""Connections that have not become associations yet: how many may wait, and who has to go."""

from __future__ import annotations

from collections import Counter
from typing import Generic, TypeVar

from vna.scp.places import address_group

ROOM = 128
"""Connections of one process that may wait for their association at once."""

ROOM_PER_ADDRESS = 32

_T = TypeVar("_T")


class WaitingRoom(Generic[_T]):
    """A newcomer is always let in; when it is crowded, one that has waited longest leaves for it.

    It is one of the newcomer's own address when that has its share, else one of the address that
    has most. So who opens connections and says nothing shuts out nobody, not even on his own
    address. Not for several threads: the owner's lock guards it.
    """

    def __init__(self, room: int = ROOM, room_per_address: int = ROOM_PER_ADDRESS) -> None:
        self._room = room
        self._room_per_address = room_per_address
        self._guests: dict[_T, str] = {}  # in the order of their arrival
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._guests)

    def enter(self, guest: _T, address: str) -> _T | None:
        """Let `guest` wait; returns who has to leave for it, and is out already."""
        group = address_group(address)
        evicted = None
        if self._counts[group] >= self._room_per_address:
            evicted = self._oldest_of(group)
        elif len(self._guests) >= self._room:
            evicted = self._oldest_of(max(self._counts, key=self._counts.__getitem__))
        if evicted is not None:
            self.leave(evicted)
        self._guests[guest] = group
        self._counts[group] += 1
        return evicted

    def leave(self, guest: _T) -> None:
        """`guest` does not wait any more; nothing when it did not."""
        group = self._guests.pop(guest, None)
        if group is None:
            return
        self._counts[group] -= 1
        if not self._counts[group]:
            del self._counts[group]

    def _oldest_of(self, group: str) -> _T:
        return next(guest for guest, other in self._guests.items() if other == group)
