"""What was deleted and can be restored until its sweep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Location

SWEEP_JOB = "sweep_trash"
"""The background job that sweeps."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a request deleted: its entry in the trash, and how many instances it holds."""

    trash_id: int
    instances: int


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """What one request deleted; the UIDs below the level that it named are "".

    `size` is in bytes, `swept` the number of items whose sweep has begun: they can't be restored.
    """

    trash_id: int
    deleted_at: datetime
    uids: InstanceUids
    origin: Origin
    instances: int
    size: int
    swept: int


@dataclass(frozen=True, slots=True)
class Trashed:
    """The entry of the trash that something can be restored from until `kept_until`."""

    trash_id: int
    deleted_at: datetime
    kept_until: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of the instances of an entry.

    `duplicates` are in the archive again already and stay in the trash; `conflicts` are kept beside other content that
    came under their UIDs meanwhile, and listed.
    """

    restored: int
    duplicates: int
    conflicts: int


@dataclass(frozen=True, slots=True)
class SweptItem:
    """An item whose sweep has begun, and its `objects` that nothing else names: copies among them."""

    item_id: int
    objects: tuple[Location, ...]
