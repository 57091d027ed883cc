"""The copies of stored objects: where they lie, and which of them are to be written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from vna.index.database import Connection, Database
from vna.index.jsonb import to_text
from vna.index.registering import unpacked_digest
from vna.index.sql import load
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Location
from vna.model.replicas import CopiesDue, DueCopy

_MAX_ERROR = 500


class ReplicaIndex:
    """Rows that are a queue as well. Shared by all threads; everything raises Unavailable.

    What is taken is the caller's for some seconds; one who dies over it holds it up no longer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def copies_of(self, location: Location) -> list[Location]:
        """Further objects with the same bytes, those first of which nothing bad is known."""
        return [Location(*row) for row in self._all("copies_of", asdict(location))]

    def doubt(self, place: Location) -> None:
        """Have an object looked at that could not be read; nothing where there is no other with its bytes."""
        self._run("copies_doubt", asdict(place))

    def take(self, limit: int, hold: float, without: Collection[str] = ()) -> list[DueCopy]:
        """Up to `limit` that are due, none of the backends `without`, for `hold` seconds."""
        values = {"limit": limit, "hold": hold, "without": list(without)}
        return [_due(row) for row in self._all("copies_take", values)]

    def take_one(self, place: Location, hold: float) -> DueCopy | None:
        """The doubt about `place`, whether due now or not."""
        rows = self._all("copies_take_one", {**asdict(place), "hold": hold})
        return _due(rows[0]) if rows else None

    def hold(self, due: DueCopy, seconds: float) -> None:
        """Go on holding what was taken."""
        self._run("copies_hold", {**_values(due), "hold": seconds})

    def written(self, due: DueCopy, place: Location, source: Location, origin: Origin) -> bool:
        """`place` has the bytes from now on; audited with its `source` when it stands for another one, which is
        remembered as damaged. False when nobody needs it any more, and nothing was written.
        """
        values = {**_values(due), "new_key": place.key}
        if due.known is not None:
            values |= _move(due.known, place)

        def write(connection: Connection) -> bool:
            with connection.transaction():
                if due.known is None:
                    row = connection.execute(load("queries/copies_written"), values).fetchone()
                    return row is not None
                if _is_true(connection, "move_object", values):
                    connection.execute(load("queries/copies_healed"), _event(due, source, origin))
                    return True
                return _is_true(connection, "copies_is_named", values)

        return self._database.attempt(write)

    def trusted(self, due: DueCopy) -> None:
        """Nothing is the matter with the object in doubt."""
        self._run("copies_trusted", _values(due))

    def postpone(self, due: DueCopy, delay: float, error: str) -> None:
        """Try again in `delay` seconds."""
        values = {**_values(due), "delay": delay, "error": to_text(error)[:_MAX_ERROR]}
        self._run("copies_postpone", values)

    def due(self) -> list[CopiesDue]:
        """What is to be done, by backend."""
        return [
            CopiesDue(row[0], row[1], row[2], row[3], row[4] or "")
            for row in self._all("copies_due", {})
        ]

    def is_due(self) -> bool:
        """Whether `take` would find something now."""
        return bool(self._all("copies_is_due", {})[0][0])

    def _all(self, name: str, values: dict[str, Any]) -> list[Any]:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{name}"), values).fetchall()
        )

    def _run(self, name: str, values: dict[str, Any]) -> None:
        self._database.attempt(lambda c: c.execute(load(f"queries/{name}"), values))


def _due(row: Sequence[Any]) -> DueCopy:
    of, backend, key = Location(*row[:4]), row[4], row[5]
    known = None if key is None else Location(backend, key, row[6], of.length)
    return DueCopy(
        of=of,
        backend=backend,
        known=of if backend == of.backend else known,
        attempts=row[7],
        digest=unpacked_digest(row[8]),
        uids=InstanceUids(*row[9:12]),
    )


def _values(due: DueCopy) -> dict[str, object]:
    return {
        "of_backend": due.of.backend,
        "of_key": due.of.key,
        "of_offset": due.of.offset,
        "backend": due.backend,
        "key": None if due.known is None or due.is_location else due.known.key,
    }


def _move(known: Location, place: Location) -> dict[str, object]:
    return {
        "key": known.key,
        "offset": known.offset,
        "new_backend": place.backend,
        "new_key": place.key,
        "new_offset": place.offset,
        "is_damaged": True,
    }


def _is_true(connection: Connection, name: str, values: dict[str, Any]) -> bool:
    row = connection.execute(load(f"queries/{name}"), values).fetchone()
    return row is not None and bool(row[0])


def _event(due: DueCopy, source: Location, origin: Origin) -> dict[str, object]:
    return {
        "door": origin.door,
        "peer": to_text(origin.peer),
        "address": origin.address,
        "correlation_id": origin.correlation_id,
        "study": due.uids.study_instance_uid,
        "uid": due.uids.sop_instance_uid,
        "lost_key": (due.known or due.of).key,
        "backend": due.backend,
        "source": source.backend,
    }
