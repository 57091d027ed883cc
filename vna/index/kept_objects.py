"""The objects that are kept under SOP Instance UIDs, as whoever checks them needs them."""

from __future__ import annotations

from collections.abc import Sequence

from vna.index.database import Database
from vna.index.registering import unpacked_digest
from vna.index.sql import load
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
        for uid, sop_class_uid, backend, key, offset, length, digest in rows:
            location = Location(backend, key, offset, length)
            kept = KeptObject(sop_class_uid, location, unpacked_digest(digest))
            objects.setdefault(uid, []).append(kept)
        return objects
