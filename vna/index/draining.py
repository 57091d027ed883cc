"""Drains in Postgres: which backends are being emptied, what is in them still, and what lies where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vna.index.commitments import Hold
from vna.index.corrections import CorrectionIndex
from vna.index.database import Database
from vna.index.jsonb import to_text
from vna.index.registering import unpacked_digest
from vna.index.sql import load
from vna.model.draining import Amount, Drain, Holding, Left
from vna.model.identifiers import InstanceUids
from vna.model.instances import Location

_PAGE = 500
_NOWHERE = ("", -1, "")
Place = tuple[str, int, str]
"""The key, offset and backend by which a location is known."""


class DrainIndex:
    """Rows of drains and of what they move. Shared by all threads; everything raises Unavailable.

    `corrections`: what is changed in what they move.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.corrections = CorrectionIndex(database)

    def begin(self, backend: str, target: str, grace: int) -> Drain:
        """Empty `backend` from now on; one that is being emptied goes on, to this `target`."""
        values = {"backend": backend, "target": target, "grace": grace}
        return Drain(*self._row("drain_begin", values))

    def cancel(self, backend: str) -> bool:
        """Empty it no further; whether it was being emptied."""
        return self._row("drain_cancel", [backend]) is not None

    def drains(self) -> list[Drain]:
        """All of them, ended or not."""
        return [Drain(*row) for row in self._rows("drain_list", {})]

    def due(self) -> list[str]:
        """Backends whose drain somebody may go on with now."""
        return [name for (name,) in self._rows("drain_due", {})]

    def claim(self, backend: str, hold: Hold) -> Drain | None:
        """Take a drain for a while; None: somebody has it, or there is none."""
        values = {"backend": backend, "holder": hold.holder, "seconds": hold.seconds}
        row = self._row("drain_claim", values)
        return None if row is None else Drain(*row)

    def renew(self, holders: Sequence[str], seconds: float) -> set[str]:
        """Prolong claims; returns the holders that still hold."""
        values = {"holders": list(holders), "seconds": seconds}
        return {holder for (holder,) in self._rows("drain_renew", values)}

    def account(self, backend: str, hold: Hold, done: dict[str, int], error: str) -> bool:
        """Add what was `done` (moved, dropped, size, failed) since the last time; False: it was cancelled."""
        values = {"backend": backend, "holder": hold.holder, "error": to_text(error), **done}
        return self._row("drain_account", values) is not None

    def release(self, backend: str, hold: Hold, *, is_ended: bool, pause: float) -> None:
        """Give a drain back: ended, or to be gone on with in `pause` seconds."""
        values = {"backend": backend, "holder": hold.holder, "ended": is_ended, "pause": pause}
        self._database.attempt(lambda c: c.execute(load("queries/drain_release"), values))

    def named(self, backend: str) -> Iterator[Place]:
        """Locations in `backend`, then those elsewhere that have a copy there, read page by page."""
        for query in ("drain_locations", "drain_copies"):
            last: Place = _NOWHERE
            while page := self._page(query, backend, last):
                yield from page
                last = page[-1]

    def left(self, backend: str) -> Left:
        """What is in `backend` still."""
        return Left(*self._row("drain_left", {"backend": backend}))

    def holding(self, place: Place) -> Holding | None:
        """The location there with its copies; None: it is there no more."""
        values = dict(zip(("key", "offset", "backend"), place, strict=True))
        row = self._row("holding", values)
        return None if row is None else _holding(row)

    def move(
        self, of: Location, old: Location, new: Location | None, *, is_damaged: bool = False
    ) -> bool:
        """Let `new` take the place of `old`, which is the location `of` or a copy of it; None: the copy is dropped.

        `old` is remembered as left behind. False: the row has changed since, or is being swept; nothing was done.
        """
        values = {
            **_named("of_", of),
            **_named("", old),
            "new_backend": None if new is None else new.backend,
            "new_key": None if new is None else new.key,
            "new_offset": None if new is None else new.offset,
            "is_damaged": is_damaged,
        }
        if bool(self._row("move_object", values)[0]):
            return True
        # Asked again after a commit that was never confirmed, it is done already.
        return new is not None and any(place == new for place in self._places(of, old, new))

    def _places(self, of: Location, old: Location, new: Location) -> tuple[Location, ...]:
        now = new if of == old else of
        holding = self.holding((now.key, now.offset, now.backend))
        return () if holding is None else holding.places

    def want(self, of: Location, backends: Sequence[str]) -> None:
        """Have copies of the location written in `backends` where there is none."""
        if backends:
            values = {"key": of.key, "offset": of.offset, "of": of.backend}
            self._run("copies_want", {**values, "wanted": list(backends)})

    def unwant(self, of: Location, backend: str) -> None:
        """A copy that is due in `backend` is not wanted any more."""
        values = {"key": of.key, "offset": of.offset, "of": of.backend, "backend": backend}
        self._run("copy_unwant", values)

    def expired(self) -> list[tuple[Location, bool]]:
        """Up to 500 moved objects whose time has passed, and whether something names (a part of) the same object."""
        rows = self._rows("left_objects", {"limit": _PAGE})
        return [(Location(name, key, offset, 0), needed) for name, key, offset, needed in rows]

    def is_expired(self) -> bool:
        """Whether there is any of `expired`."""
        return bool(self._row("left_is_due", {})[0])

    def forget(self, place: Location) -> None:
        """Forget an object that was left behind and is gone."""
        self._run("left_object_forget", _named("", place))

    def postpone(self, place: Location, seconds: float) -> None:
        """Have an object that was left behind removed in `seconds`."""
        self._run("left_object_postpone", {**_named("", place), "seconds": seconds})

    def amounts(self) -> list[Amount]:
        """What each backend holds, of large archives from a sample of the rows."""
        (percent,) = self._row("storage_share", {})
        rows = self._rows("storage_amounts", {"percent": float(percent)})
        return [Amount(*row) for row in rows]

    def peer(self, uids: InstanceUids) -> str:
        """The AE title from which an instance came; "": it came through another door, or that is not known."""
        values = {"study": uids.study_instance_uid, "uid": uids.sop_instance_uid}
        row = self._row("storing_peer", values)
        return "" if row is None else str(row[0])

    def _page(self, query: str, backend: str, after: Place) -> list[Any]:
        key, offset, of = after
        values = {"backend": backend, "key": key, "offset": offset, "of": of}
        return self._rows(query, {**values, "limit": _PAGE})

    def _run(self, name: str, values: dict[str, object]) -> None:
        self._database.attempt(lambda c: c.execute(load(f"queries/{name}"), values))

    def _row(self, name: str, values: Any) -> Any:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{name}"), values).fetchone()
        )

    def _rows(self, name: str, values: Any) -> list[Any]:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{name}"), values).fetchall()
        )


def _named(prefix: str, place: Location) -> dict[str, object]:
    return {
        f"{prefix}backend": place.backend,
        f"{prefix}key": place.key,
        f"{prefix}offset": place.offset,
    }


def _holding(row: Sequence[Any]) -> Holding:
    location = Location(*row[4:8])
    copies = (Location(name, key, int(offset), location.length) for name, key, offset in row[9])
    return Holding(
        row[0],
        InstanceUids(*row[1:4]),
        location,
        unpacked_digest(row[8]),
        tuple(copies),
        tuple(row[10]),
        row[11],
    )
