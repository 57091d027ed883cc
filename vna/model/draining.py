"""A backend that is being emptied, and the objects that have to leave it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage_backends.base import Digest
from vna.model.identifiers import InstanceUids
from vna.model.instances import Location

DRAIN_JOB = "storage.drain"
"""The background job that goes on with drains and removes what they left behind."""

GRACE = 900
"""Seconds for which a moved object stays where it was, for those who are reading it."""


@dataclass(frozen=True, slots=True)
class Drain:
    """The emptying of `backend` into `target`, or, where that is "", to where the rules of placement say.

    `moved` objects of `size` bytes were written elsewhere, `dropped` ones were there already; `failed`: what could not
    be moved the last time it was tried. `is_held`: somebody works on it now.
    """

    backend: str
    target: str
    began_at: datetime
    ended_at: datetime | None
    moved: int
    dropped: int
    size: int
    failed: int
    grace: int
    is_held: bool
    last_error: str


@dataclass(frozen=True, slots=True)
class Left:
    """What is in a backend still: `locations` and `copies` that name it (1 for any number), and objects whose place
    others have taken: `moved` ones, which go after a while, and `damaged` ones, which stay for a person.
    """

    locations: int
    copies: int
    moved: int
    damaged: int

    @property
    def is_named(self) -> bool:
        """Whether anything is to be moved still."""
        return bool(self.locations or self.copies)


@dataclass(frozen=True, slots=True)
class Holding:
    """The object of a location with its copies; `due`: the backends of copies that are not written yet.

    `owner` and `uids` as in KeptRow, `correction` as in StoredInstance.
    """

    owner: str
    uids: InstanceUids
    location: Location
    digest: Digest
    copies: tuple[Location, ...]
    due: tuple[str, ...]
    correction: int | None

    @property
    def places(self) -> tuple[Location, ...]:
        """Where its bytes lie, the location first."""
        return (self.location, *self.copies)


@dataclass(frozen=True, slots=True)
class Amount:
    """What one backend holds, estimated for large archives: locations, their bytes, copies, theirs, and copies due."""

    backend: str
    objects: int
    size: int
    copies: int
    copies_size: int
    due: int
