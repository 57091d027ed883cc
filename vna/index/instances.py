"""The instances of the archive: registering them, and finding the ones to deliver."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage_backends.base import Digest
from vna.index.copies import CopyIndex
from vna.index.corrections import CorrectionIndex
from vna.index.database import Database
from vna.index.differences import SharedAttributes
from vna.index.frame_places import FramePlaces
from vna.index.known_parents import KnownParents, KnownSeries
from vna.index.metadata_documents import MetadataDocumentIndex
from vna.index.prepared import PreparedCall
from vna.index.prepared_texts import Parameter
from vna.index.registering import parameters_of, registration_of, unpacked_digest
from vna.index.replicas import ReplicaIndex
from vna.index.selections import SelectionIndex
from vna.index.sql import load
from vna.model.frames import FrameTable, unpack_frames
from vna.model.identifiers import InstanceUids, Origin, Selection
from vna.model.instances import (
    InstanceLayout,
    Location,
    NewInstance,
    Registration,
    StoredInstance,
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """What waits for a person.

    `kind` "content": other content under a known SOP Instance UID, kept whole at `location`; "patient_mismatch": an
    instance of a known study under another patient (the instance itself is stored; `location` is None).
    """

    conflict_id: int
    kind: str
    created_at: datetime
    resolved_at: datetime | None
    uids: InstanceUids
    sop_class_uid: str
    transfer_syntax_uid: str
    issuer_of_patient_id: str
    patient_id: str
    origin: Origin
    object_digest: Digest
    dataset_digest: Digest
    location: Location | None
    number_of_frames: int
    layout: InstanceLayout
    correction: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of the index; `stored_bytes` are those of all objects, with those in conflict and in the trash."""

    patients: int
    studies: int
    series: int
    instances: int
    open_conflicts: int
    stored_bytes: int


class InstanceIndex:
    """Which instances there are. Shared by all threads. `copies`: the objects behind their versions;
    `replicas`: further objects with the same bytes; `selections`: what a retrieve delivers; `frame_places`: where
    frames lie; `corrections`: what is changed in instances on their way out.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = KnownParents()
        self._registering = PreparedCall(load("queries/register"))
        self._waiting_commits = threading.BoundedSemaphore(max(1, database.pool_size // 2))
        self.copies = CopyIndex(database)
        self.corrections = CorrectionIndex(database)
        self.replicas = ReplicaIndex(database)
        self.documents = MetadataDocumentIndex(database)
        self.selections = SelectionIndex(database)
        self.frame_places = FramePlaces(database)

    def register(
        self, new: NewInstance, origin: Origin, keep: Callable[[], object] = lambda: None
    ) -> Registration:
        """Write everything of a received instance with its audit row, in one transaction and one round trip.

        `keep` makes the object durable, and does nothing when called again after that. It runs while the database
        works, and the commit waits for it; what it raises comes out, and nothing is registered then. When half of
        the connections wait for such commits already, `keep` runs before. Without a database it does not run.

        The first instance names patient, study and series; later ones only add what is missing there. The same
        dataset digest under a known SOP Instance UID is a duplicate, another one a conflict that is kept whole.
        Repeating a call whose commit was never confirmed gives what the first would have given.
        Raises Unavailable, OutOfSpace.
        """
        if not self._waiting_commits.acquire(blocking=False):
            keep()
            return self._register_known(new, origin, keep)
        try:
            return self._register_known(new, origin, keep)
        finally:
            self._waiting_commits.release()

    def _register_known(
        self, new: NewInstance, origin: Origin, keep: Callable[[], object]
    ) -> Registration:
        known = self._known.series_of(new)
        if known is not None:
            registration = self._register(parameters_of(new, origin, known), keep)
            if registration is not None:
                self._known.touch(new)
                return registration
        registration = self._register(parameters_of(new, origin), keep)
        if registration is None:
            raise AssertionError("register_instance answers a call that has everything")
        series_id, shared = registration.series_id, registration.shared_attributes
        if series_id is not None and not registration.notes:
            known = KnownSeries(series_id, None if shared is None else SharedAttributes(shared))
            self._known.add(new, known)
        return registration

    def check(self) -> None:
        """Ask the database something. Raises Unavailable."""
        self._database.ping()

    def _register(
        self, parameters: list[Parameter], keep: Callable[[], object]
    ) -> Registration | None:
        row = self._database.attempt(lambda c: self._registering.row(c, parameters, keep))
        return registration_of(row)

    def select(self, selection: Selection) -> list[StoredInstance]:
        """The instances that match, by study, series number and instance number. Raises Unavailable."""
        return self.selections.select(selection)

    def frames(self, instance_id: int) -> FrameTable | None:
        """Where the frames of an instance lie; None when it has none, or no such instance. Raises Unavailable."""
        packed = self._value("SELECT frames FROM instance WHERE id = %s", instance_id)
        return None if packed is None else unpack_frames(packed)

    def warnings(self, instance_id: int) -> tuple[str, ...]:
        """What was odd with an instance when it arrived. Raises Unavailable."""
        return tuple(self._value("SELECT warnings FROM instance WHERE id = %s", instance_id) or ())

    def conflicts(self, limit: int = 100, after: int = 0) -> list[Conflict]:
        """Up to `limit` conflicts whose id is above `after`, oldest first. Raises Unavailable."""
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/conflicts"), [after, limit]).fetchall()
        )
        return [_conflict(row) for row in rows]

    def counts(self) -> Counts:
        """Totals, counted now (seconds in a large archive). Raises Unavailable."""
        row = self._database.attempt(lambda c: c.execute(load("queries/counts")).fetchone())
        return Counts(*(row or (0,) * 6))

    def _value(self, statement: Any, key: int) -> Any:
        row = self._database.attempt(lambda c: c.execute(statement, [key]).fetchone())
        return None if row is None else row[0]


def _conflict(row: Sequence[Any]) -> Conflict:
    return Conflict(
        conflict_id=row[0],
        kind=row[1],
        created_at=row[2],
        resolved_at=row[3],
        uids=InstanceUids(*row[4:7]),
        sop_class_uid=row[7],
        transfer_syntax_uid=row[8],
        issuer_of_patient_id=row[9],
        patient_id=row[10],
        origin=Origin(*row[11:15]),
        object_digest=unpacked_digest(row[15]),
        dataset_digest=unpacked_digest(row[16]),
        location=None if row[17] is None else Location(*row[17:21]),
        number_of_frames=row[21],
        layout=InstanceLayout(*row[22:27]),
        correction=row[27],
    )
