"""The trash in Postgres: rows that were moved out of the tables which queries read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from vna.index.database import Database
from vna.index.jsonb import to_text
from vna.index.sql import load
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import Location
from vna.model.trash import Deleted, Restored, SweptItem, TrashEntry


class TrashIndex:
    """Moves instances into the trash and out of it. Shared by all threads; everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete(self, uids: InstanceUids, origin: Origin) -> Deleted | None:
        """Move what `uids` names ("" leaves the levels below open) into the trash, audited; None: there is nothing.

        One transaction; stores of the same study take place before or after it. Conflicting versions of the
        instances go with them. The same call of one request finds what it deleted before.
        """
        values = [*_three(uids), *_four(origin)]
        row = self._row(load("queries/delete_instances"), values)
        return None if row is None or row[0] is None else Deleted(*row)

    def restore(self, trash_id: int, origin: Origin) -> Restored | None:
        """Make an entry visible again, audited, in one transaction; None: there is no such entry (any more)."""
        row = self._row(load("queries/trash_restore"), [trash_id, *_four(origin)])
        if row is None or row[0] is None:
            return None
        from vna.index.name_tokens import fill_person_names  # most who read the trash never restore

        fill_person_names(self._database)
        return Restored(*row)

    def entries(
        self, study_instance_uid: str = "", after: int = 0, limit: int = 100
    ) -> list[TrashEntry]:
        """Up to `limit` entries (of a study) whose id is above `after`, the oldest first."""
        values = {"study": study_instance_uid, "after": after, "limit": limit}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/trash_list"), values).fetchall()
        )
        return [_entry(row) for row in rows]

    def find(self, uids: InstanceUids) -> tuple[int, datetime] | None:
        """The last entry in which what `uids` names ("" leaves levels open) can be restored from, and when it was
        deleted; None: it is visible, or never was, or is swept.
        """
        names = ("study", "series", "instance")
        row = self._row(load("queries/trash_find"), dict(zip(names, _three(uids), strict=True)))
        return None if row is None else (row[0], row[1])

    def is_due(self, days: int) -> bool:
        """Whether there is anything that was deleted `days` days ago or before."""
        row = self._row(load("queries/trash_is_due"), [days])
        return row is not None and bool(row[0])

    def claim(self, days: int, after: int, limit: int, trash_id: int | None) -> list[SweptItem]:
        """Begin the sweep of up to `limit` items above `after` that were deleted `days` days ago or before (of one
        entry alone). They can't be restored from then on, and are found again until they are forgotten.
        """
        values = {"days": days, "after": after, "limit": limit, "trash": trash_id}
        claimed = self._database.attempt(
            lambda c: c.execute(load("queries/trash_claim"), values).fetchall()
        )
        rows = self._database.attempt(
            lambda c: c.execute(
                load("queries/trash_objects"), [[item for (item,) in claimed]]
            ).fetchall()
        )
        return [_swept_item(item, list(group)) for item, group in groupby(rows, itemgetter(0))]

    def swept(self, item_ids: Sequence[int], origin: Origin) -> int:
        """Forget claimed items whose objects are gone, audited; how many this call forgot."""
        names = ("door", "peer", "address", "correlation_id")
        values = {"items": list(item_ids), **dict(zip(names, _four(origin), strict=True))}
        row = self._row(load("queries/trash_swept"), values)
        return 0 if row is None else int(row[0])

    def forget(self, days: int) -> None:
        """Forget entries of that age that are empty."""
        self._database.attempt(lambda c: c.execute(load("queries/trash_forget"), [days]))

    def _row(self, statement: Any, values: Any) -> Any:
        return self._database.attempt(lambda c: c.execute(statement, values).fetchone())


def _three(uids: InstanceUids) -> tuple[str, str, str]:
    return uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid


def _four(origin: Origin) -> tuple[str, str, str, str]:
    return origin.door, to_text(origin.peer), origin.address, origin.correlation_id


def _entry(row: Sequence[Any]) -> TrashEntry:
    return TrashEntry(row[0], row[1], InstanceUids(*row[2:5]), Origin(*row[5:9]), *row[9:12])


def _swept_item(item_id: int, rows: Sequence[Any]) -> SweptItem:
    places = (Location(*row[1:5]) for row in rows if row[1] is not None and row[5])
    return SweptItem(item_id, tuple(places))
