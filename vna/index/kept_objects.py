"""The objects that are kept under SOP Instance UIDs, as whoever checks them needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from vna.index.database import Database
from vna.index.registering import unpacked_digest
from vna.index.sql import load
from vna.model.identifiers import InstanceUids
from vna.model.instances import KeptObject, Location


class KeptObjectIndex:
    """Looks objects up. Shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, sop_instance_uids: Sequence[str]) -> dict[str, list[KeptObject]]:
        """The objects behind each UID that is known: of the instance, and of versions in conflict with it.

        Raises Unavailable.
        """
        values = {"uids": list(sop_instance_uids)}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/kept_objects"), values).fetchall()
        )
        objects: dict[str, list[KeptObject]] = {}
        for uid, sop_class_uid, *place, digest, further in rows:
            location = Location(*place)
            copies = (Location(name, key, int(at), location.length) for name, key, at in further)
            kept = KeptObject(sop_class_uid, location, unpacked_digest(digest), tuple(copies))
            objects.setdefault(uid, []).append(kept)
        return objects

    def in_trash(self, uids: InstanceUids) -> list[KeptObject]:
        """The objects behind an instance that lies in the trash. Raises Unavailable."""
        values = {"study": uids.study_instance_uid, "uid": uids.sop_instance_uid}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/trashed_objects"), values).fetchall()
        )
        return [KeptObject(row[0], Location(*row[1:5]), unpacked_digest(row[5])) for row in rows]

    def swept_at(self, uids: InstanceUids) -> float | None:
        """When the instance was last removed for good, in seconds since the epoch; None: never. Raises Unavailable."""
        values = {
            "study": uids.study_instance_uid,
            "series": uids.series_instance_uid,
            "uid": uids.sop_instance_uid,
        }
        row = self._database.attempt(
            lambda c: c.execute(load("queries/swept_at"), values).fetchone()
        )
        return None if row is None else row[0]

    def add_copy(self, of: Location, place: Location) -> bool:
        """Take the object at `place`, which has the bytes of the location `of`, for a copy of it.

        False: the location is elsewhere by now, or has a copy in that backend. Raises Unavailable.
        """
        values = {
            "of_backend": of.backend,
            "of_key": of.key,
            "of_offset": of.offset,
            **asdict(place),
        }
        row = self._database.attempt(
            lambda c: c.execute(load("queries/copy_add"), values).fetchone()
        )
        return row is not None
