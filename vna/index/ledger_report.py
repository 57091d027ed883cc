"""What a report tells of a campaign's ledger: sums that Postgres makes, and every exception."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vna.index.snapshot import Snapshot
from vna.model.campaign import Campaign

_MOST_STEPS = 200
_WIDTHS = (
    *(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400),
    *(2 * 86400, 7 * 86400, 28 * 86400, 91 * 86400, 365 * 86400),
)
_MOST_VALUES = 60
OTHERS = "others"
"""The line of a census that stands for all that are too rare for one of their own."""

_CENSUS = {
    15: "sop_class_uid",
    23: "transfer_syntax_uid",
    27: "outcome",
    29: "evidence",
    30: "rules",
}
"""What `grouping` in migration_report_census.sql says of a row."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Instances and what became of them. `exceptions` need a person, `excluded` were left out by one."""

    studies: int = 0
    instances: int = 0
    verified: int = 0
    excluded: int = 0
    exceptions: int = 0
    bytes: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.studies + other.studies,
            self.instances + other.instances,
            self.verified + other.verified,
            self.excluded + other.excluded,
            self.exceptions + other.exceptions,
            self.bytes + other.bytes,
        )

    @property
    def open(self) -> int:
        """Instances of which nothing is decided yet."""
        return self.instances - self.verified - self.excluded - self.exceptions


@dataclass(frozen=True, slots=True)
class Part:
    """Instances of a modality in studies of a year (None: no date)."""

    year: int | None
    modality: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class CensusLine:
    """Instances that have `value` in common."""

    value: str
    instances: int
    verified: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """What fetches brought, and what was verified, in a span of time that begins `at`."""

    at: datetime
    came: int
    bytes: int
    verified: int


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """So many studies or instances (`level`) are in a state for a reason."""

    level: str
    state: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class ExceptionLine:
    """A study or an instance (`level`) that is not verified, and why."""

    level: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    state: str
    reason: str
    detail: str
    place: str
    attempts: int
    conflict: int | None


class LedgerReport:
    """Reads what a campaign's ledger had at the moment of `snapshot`. Everything raises Unavailable."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def parts(self, campaign: Campaign) -> list[Part]:
        """By year and modality; a study counts in each modality that it has."""
        return [
            Part(row.pop("year"), row.pop("modality"), Amounts(**row))
            for row in self._rows("years", campaign)
        ]

    def studies(self, campaign: Campaign) -> dict[int | None, int]:
        """Studies by year."""
        return {row["year"]: row["studies"] for row in self._rows("studies", campaign)}

    def census(self, campaign: Campaign) -> dict[str, list[CensusLine]]:
        """Instances by SOP class, transfer syntax, outcome, evidence, rules; the most frequent first."""
        found: dict[str, list[CensusLine]] = {name: [] for name in _CENSUS.values()}
        for row in self._rows("census", campaign):
            lines = found[_CENSUS[row.pop("grouping")]]
            line = CensusLine(**row)
            if len(lines) < _MOST_VALUES:
                lines.append(line)
            else:  # the last one stands for all that are rarer
                lines[-1] = _sum(lines[-1], line)
        return found

    def steps(self, campaign: Campaign) -> tuple[int, list[Step]]:
        """How many seconds a step is, and those in which something happened."""
        span = next(self._rows("span", campaign), None)
        if span is None or span["began_at"] is None:
            return _WIDTHS[0], []
        seconds = (span["ended_at"] - span["began_at"]).total_seconds() if span["ended_at"] else 0.0
        width = next((w for w in _WIDTHS if seconds / w <= _MOST_STEPS), _WIDTHS[-1])
        rows = self._rows("progress", campaign, began_at=span["began_at"], width=width)
        return width, [Step(**row) for row in rows]

    def reasons(self, campaign: Campaign) -> list[ReasonLine]:
        """How many exceptions there are of each kind; those of studies first."""
        return [ReasonLine(**row) for row in self._rows("reasons", campaign)]

    def exceptions(self, campaign: Campaign) -> Iterator[ExceptionLine]:
        """All of them: each study, if it is one itself, and its instances."""
        return (ExceptionLine(**row) for row in self._rows("exceptions", campaign))

    def _rows(self, query: str, campaign: Campaign, **values: object) -> Iterator[dict[str, Any]]:
        return self._snapshot.rows(
            f"migration_report_{query}", campaign=campaign.campaign_id, **values
        )


def _sum(first: CensusLine, second: CensusLine) -> CensusLine:
    return CensusLine(
        OTHERS,
        first.instances + second.instances,
        first.verified + second.verified,
        first.bytes + second.bytes,
    )
