"""Copies of stored objects: what is to be written for them, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storage_backends.base import Digest
from vna.model.identifiers import InstanceUids
from vna.model.instances import Location

COPY_JOB = "storage.copy"


class Copied(StrEnum):
    """What became of something that was due."""

    COPIED = "copied"
    HEALED = "healed"
    INTACT = "intact"
    POSTPONED = "postponed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class DueCopy:
    """Something to be written: in `backend`, with the bytes of `of`.

    `known`: the object there that could not be read, which is `of` itself where its location is in doubt; None: there
    is none yet. `attempts`: this one included.
    """

    of: Location
    backend: str
    known: Location | None
    attempts: int
    digest: Digest
    uids: InstanceUids

    @property
    def is_location(self) -> bool:
        """Whether the location itself is in doubt, and not a copy."""
        return self.known == self.of


@dataclass(frozen=True, slots=True)
class CopiesDue:
    """What is due for one backend: `failed` of them were tried before; the oldest since `seconds`."""

    backend: str
    count: int
    failed: int
    seconds: float
    last_error: str

    def __str__(self) -> str:
        """As `vna doctor` shows it."""
        waits = f"{self.count}, the oldest for {self.seconds:.0f} s"
        return f"{waits}; {self.failed} failed before: {self.last_error}" if self.failed else waits
