"""What a verification reads of the index, and what it leaves there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vna.index.database import Database
from vna.index.jsonb import to_text
from vna.index.registering import unpacked_digest
from vna.index.sql import load
from vna.model.identifiers import InstanceUids
from vna.model.instances import Location
from vna.model.verification import Coverage, Fault, Finding, KeptRow, Part, Run

_PAGE = 500
_BEHIND = 2**63 - 1
"""Behind every offset of an object."""


class VerificationIndex:
    """Rows that name objects, runs and their findings. Shared by all threads; everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, backend: str, after: str = "") -> Iterator[KeptRow]:
        """Rows that name objects of `backend` behind the key `after`, by key and offset, read page by page."""
        key, offset = after, _BEHIND
        while page := self._rows("verify_rows", backend=backend, after=key, offset=offset):
            yield from page
            if len(page) < _PAGE:
                return
            key, offset = page[-1].location.key, page[-1].location.offset

    def rows_of_key(self, backend: str, key: str) -> list[KeptRow]:
        """Rows that name the object `key` now."""
        return self._rows("verify_rows_of_key", backend=backend, key=key)

    def rows_of_study(self, study_instance_uid: str) -> list[KeptRow]:
        """Rows of the study's instances, and of versions in conflict with them."""
        return self._rows("verify_rows_of_study", study=study_instance_uid)

    def sample(self, count: int) -> list[KeptRow]:
        """Up to `count` rows of all backends, chosen at random by the page."""
        (share,) = self._row("verify_share", count=count)
        return self._rows("verify_sample", count=count, percent=share)

    def backends(self) -> set[str]:
        """Every backend that a row names, configured or not."""
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/verify_backends")).fetchall()
        )
        return {name for (name,) in rows}

    def begin(self, *, is_deep: bool, is_scheduled: bool, only: str = "") -> Run:
        """A new run, of one backend `only` or of all."""
        return _run(self._row("verify_begin", deep=is_deep, scheduled=is_scheduled, only=only))

    def open_run(self, *, is_deep: bool, is_scheduled: bool, only: str = "") -> Run | None:
        """The newest run of that kind that has not ended."""
        row = self._row("verify_open", deep=is_deep, scheduled=is_scheduled, only=only)
        return None if row is None else _run(row)

    def seen(self, run_id: int) -> set[str]:
        """The backends of which a run has seen everything."""
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/verify_seen"), [run_id]).fetchall()
        )
        return {name for (name,) in rows}

    def run(self, run_id: int) -> Run:
        """A run as it is now."""
        return _run(self._row("verify_run", run=run_id))

    def advance(
        self,
        run: Run,
        findings: Sequence[Finding],
        objects: int,
        size: int,
        *,
        is_through: bool = False,
    ) -> None:
        """Remember where `run` is, what it found on the way there, and how much it has seen since the last time.

        `is_through`: it has seen all of its present backend.
        """
        values = {
            "run": run.run_id,
            "backend": run.backend,
            "position": run.position,
            "objects": objects,
            "size": size,
            "ended": is_through,
        }
        with self._database.connection() as connection, connection.transaction():
            connection.execute(load("queries/verify_advance"), values)
            connection.execute(load("queries/verify_part"), values)
            for finding in findings:
                connection.execute(load("queries/verify_found"), _values(run.run_id, finding))

    def end(self, run: Run) -> None:
        """The run has seen everything."""
        self._database.attempt(lambda c: c.execute(load("queries/verify_end"), [run.run_id]))

    def findings(self, run_id: int, after: tuple[str, str] = ("", "")) -> list[Finding]:
        """Up to 500 findings of a run behind a backend and key, in their order."""
        values = {"run": run_id, "backend": after[0], "key": after[1]}
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/verify_findings"), values).fetchall()
        )
        return [_finding(row) for row in rows]

    def is_due(self, days: int) -> bool:
        """Whether a scheduled run is open, or none began in the last `days` days."""
        row = self._row("verify_is_due", days=days)
        return bool(row[0])

    def coverage(self, objects: Mapping[str, int]) -> list[Coverage]:
        """How much of each backend was read, given how many `objects` each has; also of those that never were."""
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/verify_coverage")).fetchall()
        )
        found = {row[0]: _coverage(row, objects.get(row[0], 0)) for row in rows}
        for name, count in objects.items():
            if name not in found:
                found[name] = Coverage(name, None, None, 0, 0, None, None, 0, count)
        return [found[name] for name in sorted(found)]

    def runs(self, limit: int = 10) -> list[Run]:
        """The newest runs first."""
        rows = self._database.attempt(
            lambda c: c.execute(load("queries/verify_runs"), [limit]).fetchall()
        )
        return [_run(row) for row in rows]

    def _rows(self, name: str, **values: object) -> list[KeptRow]:
        rows = self._database.attempt(
            lambda c: c.execute(load(f"queries/{name}"), {"limit": _PAGE, **values}).fetchall()
        )
        return [_kept(row) for row in rows]

    def _row(self, name: str, **values: object) -> Any:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{name}"), values).fetchone()
        )


def _kept(row: Sequence[Any]) -> KeptRow:
    part, place = Part(row[9]), Location(*row[4:8])
    of = None if part is Part.LOCATION else Location(row[10], row[11], row[12], place.length)
    return KeptRow(row[0], InstanceUids(*row[1:4]), place, unpacked_digest(row[8]), part, of)


def _coverage(row: Sequence[Any], objects: int) -> Coverage:
    name, began_at, ended_at, whole, faults, open_since, seen_at, reading = row
    return Coverage(
        name,
        began_at,
        ended_at,
        whole or 0,
        faults or 0,
        open_since,
        seen_at,
        reading or 0,
        objects,
    )


def _run(row: Sequence[Any]) -> Run:
    return Run(*row)


def _values(run_id: int, finding: Finding) -> dict[str, object]:
    uids, location = finding.uids, finding.location
    return {
        "run": run_id,
        "fault": finding.fault.value,
        "backend": location.backend,
        "key": location.key,
        "offset": location.offset,
        "length": location.length,
        "owner": finding.owner,
        "study": uids.study_instance_uid,
        "series": uids.series_instance_uid,
        "uid": uids.sop_instance_uid,
        "detail": to_text(finding.detail),
        "repaired": finding.repaired,
    }


def _finding(row: Sequence[Any]) -> Finding:
    fault, *location = row[:5]
    return Finding(
        Fault(fault), Location(*location), InstanceUids(*row[5:8]), row[8], row[9], row[10]
    )
