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


class Fault(StrEnum):
    """What can be wrong between the index and the storage."""

    MISSING = "missing"
    CORRUPT = "corrupt"
    UNREADABLE = "unreadable"
    ORPHAN = "orphan"
    FOREIGN = "foreign"


FAULTS = {
    Fault.MISSING: "the index names an object that is not there",
    Fault.CORRUPT: "the bytes of an object are not those that were received",
    Fault.UNREADABLE: "the storage could not read an object now; nothing is said of its bytes",
    Fault.ORPHAN: "a DICOM object that the index does not name",
    Fault.FOREIGN: "an object that the index does not name, and no DICOM",
}
"""What each of them means, for people."""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """One row of the index that names an object.

    `owner`: "instance", "conflict" or "trash", what the object is to the archive. `uids` may lack the levels above
    the instance.
    """

    owner: str
    uids: InstanceUids
    location: Location
    digest: Digest


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


@dataclass(frozen=True, slots=True)
class Run:
    """A verification of everything, as the index remembers it: where it is, and how much it has seen.

    `position`: the last key that was dealt with in `backend`; both are empty before the first and behind the last.
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
