"""What a verification looks at, and what it finds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage_backends.base import Digest
from vna.model.identifiers import InstanceUids
from vna.model.instances import Location

SCRUB_JOB = "storage.scrub"


class Part(StrEnum):
    """What an object is to the row that names it: `moved` and `damaged` ones were replaced, and are left behind."""

    LOCATION = "location"
    COPY = "copy"
    MOVED = "moved"
    DAMAGED = "damaged"


class Fault(StrEnum):
    """What can be wrong between the index and the storage."""

    MISSING = "missing"
    CORRUPT = "corrupt"
    UNREADABLE = "unreadable"
    ORPHAN = "orphan"
    FOREIGN = "foreign"
    REPLACED = "replaced"


FAULTS = {
    Fault.MISSING: "the index names an object that is not there",
    Fault.CORRUPT: "the bytes of an object are not those that were received",
    Fault.UNREADABLE: "the storage could not read an object now; nothing is said of its bytes",
    Fault.ORPHAN: "a DICOM object that the index does not name",
    Fault.FOREIGN: "an object that the index does not name, and no DICOM",
    Fault.REPLACED: "a damaged object that is left of one that was written anew",
}
"""What each of them means, for people."""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """One row of the index that names an object.

    `owner`: "instance", "conflict" or "trash", what the object is to the archive. `uids` may lack the levels above
    the instance. `of`: the location that it is a copy of, or is left of; None: it is the location.
    """

    owner: str
    uids: InstanceUids
    location: Location
    digest: Digest
    part: Part = Part.LOCATION
    of: Location | None = None

    @property
    def is_left(self) -> bool:
        """Whether another object has taken its place."""
        return self.part in {Part.MOVED, Part.DAMAGED}


_NOBODY = InstanceUids("", "", "")


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. `detail`: what was seen. `repaired`: what was done about it, "" where nothing was."""

    fault: Fault
    location: Location
    uids: InstanceUids = _NOBODY
    owner: str = ""
    detail: str = ""
    repaired: str = ""


class Adoption(StrEnum):
    """What became of an object that no row named: as a store would have it, or a copy of what is kept elsewhere."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Run:
    """A verification of everything, as the index remembers it: where it is, and how much it has seen.

    `position`: the last key that was dealt with in `backend`; both are empty before the first and behind the last.
    `only`: the one backend that it looks at; "": all.
    """

    run_id: int
    began_at: datetime
    ended_at: datetime | None
    is_deep: bool
    backend: str
    position: str
    objects: int
    size: int
    faults: int
    only: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a backend was read and compared, and when.

    The last whole reading: everything that was there when it began was read by the time it ended. The open one, if
    there is one behind it, has read `open_objects` so far. `objects`: what the backend has now,
    estimated when it is much.
    """

    backend: str
    began_at: datetime | None
    ended_at: datetime | None
    whole_objects: int
    faults: int
    open_since: datetime | None
    open_seen_at: datetime | None
    open_objects: int
    objects: int

    @property
    def share(self) -> float:
        """The least share of its objects, 0 to 1, that was read in the last whole reading or in the open one."""
        if not self.objects:
            return 1.0
        return min(1.0, max(self.whole_objects, self.open_objects) / self.objects)


@dataclass(slots=True)
class Tally:
    """What a verification has seen so far: objects, their bytes, and how many of each fault it found and repaired."""

    objects: int = 0
    size: int = 0
    found: Counter[Fault] = field(default_factory=Counter)
    repaired: Counter[Fault] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """Count one finding."""
        self.found[finding.fault] += 1
        if finding.repaired:
            self.repaired[finding.fault] += 1

    @property
    def left(self) -> int:
        """Faults that nothing was done about."""
        return self.found.total() - self.repaired.total()
