"""What the ledger says of a campaign: how far it is, and what a person should look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from vna.index.database import Database
from vna.index.sql import load
from vna.model.campaign import LEASE_SECONDS, Campaign

_PAGE = 100
_MINUTES = 30


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """A worker that lives: studies that it fetches, its limit, what hinders it."""

    name: str
    active: int
    limit: float
    note: str
    began_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """`studies`, `instances` and their `bytes` by state. `unlisted` studies have `claimed` instances, says the source.

    `minutes`: instances and bytes that came in each of the last minutes, the newest first; the present one is left out.
    """

    studies: Mapping[str, int]
    instances: Mapping[str, int]
    sizes: Mapping[str, int]
    unlisted: int
    claimed: int
    workers: tuple[WorkerLine, ...]
    minutes: tuple[tuple[int, int], ...]
    is_inventory_open: bool


@dataclass(frozen=True, slots=True)
class InstanceException:
    """An instance that is not verified, and why."""

    series_instance_uid: str
    sop_instance_uid: str
    state: str
    reason: str
    detail: str
    attempts: int
    place: str
    conflict_id: int | None


@dataclass(frozen=True, slots=True)
class StudyException:
    """A study that is not verified, or has `instances` that are not."""

    study_instance_uid: str
    state: str
    reason: str
    detail: str
    attempts: int
    changed_at: datetime
    next_attempt_at: datetime | None
    instances: tuple[InstanceException, ...]


class LedgerStatusIndex:
    """Reads the ledger. Shared by all threads; everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def status(self, campaign: Campaign) -> LedgerStatus:
        """How far it is: what it costs does not depend on the size of the ledger."""
        number = campaign.campaign_id
        counts = self._rows("migration_counts", campaign=number)
        studies = {state: count for level, state, count, _ in counts if level == "study"}
        instances = {state: count for level, state, count, _ in counts if level == "instance"}
        sizes = {state: size for level, state, _, size in counts if level == "instance"}
        unlisted = [(count, claimed) for level, _, count, claimed in counts if level == "unlisted"]
        workers = self._rows("migration_workers", campaign=number, lease=LEASE_SECONDS)
        rate = self._rows("migration_rate", campaign=number, minutes=_MINUTES)
        ((is_open,),) = self._rows("migration_inventory_open", campaign=number)
        return LedgerStatus(
            studies=studies,
            instances=instances,
            sizes=sizes,
            unlisted=sum(count for count, _ in unlisted),
            claimed=sum(claimed for _, claimed in unlisted),
            workers=tuple(WorkerLine(*row) for row in workers),
            minutes=tuple((instances, size) for _, instances, size in rate),
            is_inventory_open=is_open,
        )

    def exceptions(self, campaign: Campaign) -> Iterator[StudyException]:
        """Everything that is mismatched, failed, excluded or parked, read page by page."""
        after = 0
        while True:
            rows = self._rows(
                "migration_exceptions", campaign=campaign.campaign_id, after=after, limit=_PAGE
            )
            if not rows:
                return
            for _, lines in groupby(rows, key=itemgetter(0)):
                yield _exception(list(lines))
            after = rows[-1][0]

    def _rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        return self._database.attempt(
            lambda c: c.execute(load(f"queries/{query}"), values).fetchall()
        )


def _exception(rows: list[tuple[Any, ...]]) -> StudyException:
    uid, state, reason, detail, attempts, changed_at, next_attempt_at = rows[0][1:8]
    instances = tuple(_instance(row[8:]) for row in rows if row[9] is not None)
    return StudyException(
        uid, state, reason, detail, attempts, changed_at, next_attempt_at, instances
    )


def _instance(row: Sequence[Any]) -> InstanceException:
    series, uid, state, reason, detail, attempts, place, conflict_id = row
    return InstanceException(series, uid, state, reason, detail or "", attempts, place, conflict_id)
