"""The instances of the archive: registering them, and finding the ones to deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from storage_backends.base import Digest
from vna.index.copies import CopyIndex
from vna.index.database import Connection, Database
from vna.index.known_parents import KnownParents
from vna.index.registering import parameters_of, registration_of, unpacked_digest
from vna.index.sql import load
from vna.model.frames import FrameTable, unpack_frames
from vna.model.identifiers import InstanceUids, Origin, Selection
from vna.model.instances import (
    InstanceLayout,
    Location,
    NewInstance,
    Outcome,
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


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of the index; `stored_bytes` are those of all objects, conflicting ones included."""

    patients: int
    studies: int
    series: int
    instances: int
    open_conflicts: int
    stored_bytes: int


class InstanceIndex:
    """Which instances there are. Shared by all threads. `copies`: the objects behind their versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = KnownParents()
        self.copies = CopyIndex(database)

    def register(self, new: NewInstance, origin: Origin) -> Registration:
        """Write everything of a received instance with its audit row, in one transaction and one round trip.

        The first instance names patient, study and series; later ones only add what is missing there. The same
        dataset digest under a known SOP Instance UID is a duplicate, another one a conflict that is kept whole.
        Repeating a call whose commit was never confirmed gives what the first would have given.
        Raises Unavailable, OutOfSpace.
        """
        registration = None
        if self._known.has(new):
            registration = self._register(parameters_of(new, origin, with_parents=False))
        if registration is None:
            registration = self._register(parameters_of(new, origin))
        if registration is None:
            raise AssertionError("register_instance answers a call that has everything")
        if registration.outcome is Outcome.STORED and not registration.notes:
            self._known.add(new)
        return registration

    def check(self) -> None:
        """Ask the database something. Raises Unavailable."""
        self._database.ping()

    def _register(self, parameters: list[object]) -> Registration | None:
        def call(connection: Connection) -> Sequence[Any] | None:
            return connection.execute(load("queries/register"), parameters, prepare=True).fetchone()

        return registration_of(self._database.attempt(call))

    def select(self, selection: Selection) -> list[StoredInstance]:
        """The instances that match, by study, series number and instance number. Raises Unavailable."""
        if selection.is_empty:
            return []
        statement, values = _selecting(selection)
        rows = self._database.attempt(
            lambda c: c.execute(statement, values, prepare=False).fetchall()
        )
        return [_stored_instance(row) for row in rows]

    def frames(self, instance_id: int) -> FrameTable | None:
        """Where the frames of an instance lie; None when it has none, or no such instance. Raises Unavailable."""
        packed = self._value("SELECT frames FROM instance WHERE id = %s", instance_id)
        return None if packed is None else unpack_frames(packed)

    def warnings(self, instance_id: int) -> tuple[str, ...]:
        """What was odd with an instance when it arrived. Raises Unavailable."""
        return tuple(self._value("SELECT warnings FROM instance WHERE id = %s", instance_id) or ())

    def series_state(
        self, study_instance_uid: str, series_instance_uid: str
    ) -> tuple[int, int] | None:
        """(number of instances, id of the newest), which change together with the series; None: no such series."""
        values = [study_instance_uid, series_instance_uid]
        row = self._database.attempt(
            lambda c: c.execute(load("queries/series_state"), values).fetchone()
        )
        return None if row is None or row[1] is None else (row[0], row[1])

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


def _selecting(selection: Selection) -> tuple[sql.Composed, list[list[str]]]:
    columns = {
        "p.patient_id": selection.patient_ids,
        "s.study_instance_uid": selection.study_instance_uids,
        "e.series_instance_uid": selection.series_instance_uids,
        "i.sop_instance_uid": selection.sop_instance_uids,
    }
    narrowing = {
        column: [value for value in values if value] for column, values in columns.items() if values
    }
    parts: list[sql.Composable] = [
        sql.SQL("{} = ANY(%s::text[])").format(sql.Identifier(*column.split(".")))
        for column in narrowing
    ]
    if selection.patient_ids:
        parts.append(sql.SQL("p.patient_id <> ''"))
    conditions = sql.SQL(" AND ").join(parts)
    statement = sql.SQL(load("queries/select_instances")).format(conditions=conditions)
    return statement, list(narrowing.values())


def _stored_instance(row: Sequence[Any]) -> StoredInstance:
    return StoredInstance(
        instance_id=row[0],
        uids=InstanceUids(row[1], row[2], row[3]),
        sop_class_uid=row[4],
        transfer_syntax_uid=row[5],
        number_of_frames=row[6],
        layout=InstanceLayout(*row[7:12]),
        location=Location(*row[12:16]),
        object_digest=unpacked_digest(row[16]),
        dataset_digest=unpacked_digest(row[17]),
    )


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
    )
