"""Finished metadata documents of series, each bound to the instances that it describes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vna.index.database import Database
from vna.index.sql import load
from vna.model.series import SeriesState


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """The compressed `body` of a document, its bulk data below `root`."""

    root: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DueSeries:
    """A series that has changed, and not since for as long as was asked."""

    study_instance_uid: str
    series_instance_uid: str
    changed_at: datetime


class MetadataDocumentIndex:
    """Keeps documents under the state that they were made of, so that a stale one is never found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def states(self, study_instance_uid: str, series_instance_uid: str = "") -> list[SeriesState]:
        """The series that have instances, by series number and UID; "" means all of the study. Raises Unavailable."""
        values = {"study": study_instance_uid, "series": series_instance_uid}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/series_states"), values).fetchall()
        )
        return [SeriesState(row[0], row[1], row[2], row[3], bytes(row[4])) for row in rows]

    def find(self, state: SeriesState, version: int) -> KeptDocument | None:
        """The document of just these instances, as `version` of the writer makes it. Raises Unavailable."""
        values = [state.series_id, state.digest, version]
        row = self._database.attempt(
            lambda c: c.execute(load("queries/series_document"), values).fetchone()
        )
        return None if row is None else KeptDocument(row[0], bytes(row[1]))

    def has(self, state: SeriesState, version: int) -> bool:
        """Whether `find` would find something. Raises Unavailable."""
        values = [state.series_id, state.digest, version]
        row = self._database.attempt(
            lambda c: c.execute(load("queries/series_document_is_kept"), values).fetchone()
        )
        return row is not None

    def keep(self, state: SeriesState, version: int, document: KeptDocument) -> None:
        """Keep `document` in place of the one before; nothing when the series is gone. Raises Unavailable."""
        values = {
            "series": state.series_id,
            "state": state.digest,
            "version": version,
            "root": document.root,
            "body": document.body,
        }
        self._database.attempt(lambda c: c.execute(load("queries/series_document_keep"), values))

    def mark(self, limit: int = 10_000) -> int:
        """Note which series the change feed tells of behind where this stopped last; how many changes were read.

        One caller at a time; another gets 0. Raises Unavailable.
        """
        row = self._database.attempt(
            lambda c: c.execute(load("queries/series_due_mark"), {"limit": limit}).fetchone()
        )
        return 0 if row is None else int(row[0])

    def take_due(self, settle_seconds: float, hold_seconds: float) -> DueSeries | None:
        """A series that has not changed for `settle_seconds`, the caller's for `hold_seconds`; None: there is none.

        Raises Unavailable.
        """
        values = {"settle": settle_seconds, "hold": hold_seconds}
        row = self._database.attempt(
            lambda c: c.execute(load("queries/series_due_take"), values).fetchone()
        )
        return None if row is None else DueSeries(*row)

    def is_due(self, settle_seconds: float) -> bool:
        """Whether `take_due` would give one. Raises Unavailable."""
        values = {"settle": settle_seconds}
        row = self._database.attempt(
            lambda c: c.execute(load("queries/series_due_is_there"), values).fetchone()
        )
        return row is not None

    def done(self, due: DueSeries) -> None:
        """Nothing is left to do for `due`, unless it has changed since it was taken. Raises Unavailable."""
        values = {
            "study": due.study_instance_uid,
            "series": due.series_instance_uid,
            "changed_at": due.changed_at,
        }
        self._database.attempt(lambda c: c.execute(load("queries/series_due_done"), values))
