"""The stored object behind a version of an instance, and giving it another when it is lost or damaged."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from storage_backends.base import Digest
from vna.index.database import Database
from vna.index.jsonb import to_text
from vna.index.registering import copies_of, packed_digest, unpacked_digest
from vna.index.sql import load
from vna.model.frames import pack_frames
from vna.model.identifiers import Origin
from vna.model.instances import Location, NewInstance


@dataclass(frozen=True, slots=True)
class KeptCopy:
    """A stored version: `owner` is "instance" (visible) or "conflict", `row_id` its row."""

    owner: str
    row_id: int
    location: Location
    object_digest: Digest


class CopyIndex:
    """Finds and replaces the object of one version of an instance. Shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, new: NewInstance) -> KeptCopy | None:
        """The version with the same UID, dataset digest and transfer syntax. Raises Unavailable."""
        values = {
            "uid": new.uids.sop_instance_uid,
            "digest": packed_digest(new.dataset_digest),
            "syntax": new.transfer_syntax_uid,
        }
        row = self._database.attempt(
            lambda c: c.execute(load("queries/kept_copy"), values).fetchone()
        )
        if row is None:
            return None
        owner, row_id, *location, digest = row
        return KeptCopy(owner, row_id, Location(*location), unpacked_digest(digest))

    def heal(self, lost: KeptCopy, new: NewInstance, origin: Origin) -> bool:
        """Let the version be the object of `new` from now on, audited; False when its location has changed since.

        Raises Unavailable.
        """
        values = {
            **asdict(new.location),
            **asdict(new.layout),
            "instance": lost.row_id if lost.owner == "instance" else None,
            "conflict": lost.row_id if lost.owner == "conflict" else None,
            "lost_key": lost.location.key,
            "lost_offset": lost.location.offset,
            "lost_backend": lost.location.backend,
            **dict(zip(("copy_backends", "copy_keys"), copies_of(new), strict=True)),
            "frames": None if new.frames is None else pack_frames(new.frames),
            "object_digest": packed_digest(new.object_digest),
            "door": origin.door,
            "peer": to_text(origin.peer),
            "address": origin.address,
            "correlation_id": origin.correlation_id,
            "study": new.uids.study_instance_uid,
            "uid": new.uids.sop_instance_uid,
        }
        row = self._database.attempt(
            lambda c: c.execute(load("queries/heal_object"), values).fetchone()
        )
        return row is not None
