"""How many associations are open on this node, counted in memory that its processes share."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import mmap
import os
import struct
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

_RECORD = struct.Struct("=H48s16s")  # the holder's seat (0: free), network address, AE title
_SEAT = struct.Struct("=H")
_FREE = 0
_MUTEX = 0
_SEATS = range(1, 4096)


class Limit(StrEnum):
    """Which limit is reached; the value is for people."""

    TOTAL = "dimse.max_associations"
    PER_AE = "dimse.max_associations_per_ae"
    PER_ADDRESS = "dimse.max_associations_per_address"
    PEER = "max_associations of dimse.peers"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many associations may be open: in all, for one AE title, for one network address."""

    total: int
    per_ae: int
    per_address: int


class Place:
    """One association's place; leave it when the association is over."""

    __slots__ = ("_index", "_places")

    def __init__(self, places: Places, index: int) -> None:
        self._places = places
        self._index: int | None = index

    def leave(self) -> None:
        """Idempotent; from any thread."""
        index, self._index = self._index, None
        if index is not None:
            self._places.free(index)


class Places:
    """A table of `size` places; make it before the fork, use it in every process and thread.

    Each process holds a lock on a byte of its own, its seat, which the kernel drops when it dies,
    however it dies: the places of a seat that nobody holds are free. One more lock guards the table.
    POSIX locks belong to a process, so a mutex keeps its threads apart.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._table = mmap.mmap(-1, max(1, size) * _RECORD.size)
        self._locks, path = tempfile.mkstemp(prefix="vna-places-")
        Path(path).unlink()
        weakref.finalize(self, os.close, self._locks)
        self._threads = threading.Lock()
        self._seat = _FREE
        self._owner = 0

    def take(self, address: str, ae_title: str, limits: Limits) -> Place | Limit:
        """A place, or the limit that stands against it."""
        key = _packed(address_group(address), 48), _packed(ae_title, 16)
        with self._locked():
            seat = self._own_seat()
            limit = self._reached(key, limits)
            if limit is not None and self._bury_the_dead():
                limit = self._reached(key, limits)
            if limit is not None:
                return limit
            index = next(i for i, (held_by, *_) in enumerate(self._records()) if not held_by)
            _RECORD.pack_into(self._table, index * _RECORD.size, _FREE, *key)
            _SEAT.pack_into(self._table, index * _RECORD.size, seat)
        return Place(self, index)

    def free(self, index: int) -> None:
        """For Place."""
        with self._locked():
            _SEAT.pack_into(self._table, index * _RECORD.size, _FREE)

    def count(self) -> int:
        """How many places are taken, in all processes that live."""
        with self._locked():
            self._bury_the_dead()
            return sum(1 for seat, *_ in self._records() if seat)

    def _records(self) -> Iterator[tuple[int, bytes, bytes]]:
        return _RECORD.iter_unpack(self._table[: self._size * _RECORD.size])

    def _reached(self, key: tuple[bytes, bytes], limits: Limits) -> Limit | None:
        total = of_ae = of_address = 0
        for seat, address, ae_title in self._records():
            if seat:
                total += 1
                of_address += address == key[0]
                of_ae += ae_title == key[1]
        if total >= min(limits.total, self._size):
            return Limit.TOTAL
        if of_address >= limits.per_address:
            return Limit.PER_ADDRESS
        return Limit.PER_AE if of_ae >= limits.per_ae else None

    def _own_seat(self) -> int:
        """This process's seat, taken when it first asks; a fork has to take one of its own."""
        if self._owner == os.getpid():
            return self._seat
        for seat in _SEATS:
            if self._sit_down(seat):
                self._clear(seat)
                self._seat, self._owner = seat, os.getpid()
                return seat
        raise OSError("more processes than seats")

    def _bury_the_dead(self) -> bool:
        """Free the places of processes that are gone; whether there were any."""
        seats = {seat for seat, *_ in self._records() if seat}
        if self._owner == os.getpid():
            seats.discard(self._seat)
        dead = [seat for seat in seats if self._sit_down(seat)]
        for seat in dead:
            self._clear(seat)
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, seat)
        return bool(dead)

    def _clear(self, seat: int) -> None:
        for index, (held_by, *_) in enumerate(self._records()):
            if held_by == seat:
                _SEAT.pack_into(self._table, index * _RECORD.size, _FREE)

    def _sit_down(self, seat: int) -> bool:
        """Take a seat that nobody holds."""
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, seat)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self._locks, fcntl.LOCK_EX, 1, _MUTEX)
            try:
                yield
            finally:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, _MUTEX)


def address_group(address: str) -> str:
    """What counts as one address: of IPv6 the /64, since a host may use any address of it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _packed(text: str, size: int) -> bytes:
    return text.encode("utf-8", "replace")[:size].ljust(size, b"\0")
