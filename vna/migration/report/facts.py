"""What a report says of a campaign, before it has any form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vna.index.ledger_report import (
    Amounts,
    CensusLine,
    ExceptionLine,
    LedgerReport,
    Part,
    ReasonLine,
    Step,
)
from vna.index.snapshot import Snapshot
from vna.migration.account import account_of
from vna.model.campaign import Campaign

ExceptionsOf = Callable[[], Iterator[ExceptionLine]]


@dataclass(frozen=True, slots=True)
class Rates:
    """What came in a second, over the `seconds` in which anything did; `best` in the best step."""

    seconds: int
    instances: float
    bytes: float
    best: float


@dataclass(frozen=True, slots=True)
class CampaignFacts:
    """A campaign. `account` is what its certificate begins with; `exceptions` reads them all, each time it is called.

    `steps` are `width` seconds long.
    """

    account: Mapping[str, Any]
    total: Amounts
    parts: Sequence[Part]
    studies_by_year: Mapping[int | None, int]
    census: Mapping[str, Sequence[CensusLine]]
    width: int
    steps: Sequence[Step]
    reasons: Sequence[ReasonLine]
    exceptions: ExceptionsOf

    @property
    def name(self) -> str:
        """Of the campaign."""
        return str(self.account["campaign"]["name"])

    @property
    def exception_count(self) -> int:
        """How many lines `exceptions` has."""
        return sum(line.count for line in self.reasons)

    def by_year(self) -> list[tuple[int | None, Amounts]]:
        """The oldest year first, studies without a date last."""
        sums = _sums((part.year, part.amounts) for part in self.parts)
        return [
            (year, replace(amounts, studies=self.studies_by_year.get(year, 0)))
            for year, amounts in sums.items()
        ]

    def by_modality(self) -> list[tuple[str, Amounts]]:
        """The most frequent first."""
        sums = _sums((part.modality, part.amounts) for part in self.parts)
        return sorted(sums.items(), key=lambda item: (-item[1].instances, item[0]))

    def rates(self) -> Rates | None:
        """None as long as nothing has come."""
        busy = [step for step in self.steps if step.came]
        if not busy:
            return None
        seconds = len(busy) * self.width
        return Rates(
            seconds,
            sum(step.came for step in busy) / seconds,
            sum(step.bytes for step in busy) / seconds,
            max(step.came for step in busy) / self.width,
        )


def facts_of(snapshot: Snapshot, campaign: Campaign) -> CampaignFacts:
    """Everything but the exceptions themselves. Raises Unavailable."""
    ledger = LedgerReport(snapshot)
    parts, studies = ledger.parts(campaign), ledger.studies(campaign)
    width, steps = ledger.steps(campaign)
    account = account_of(snapshot, campaign)
    return CampaignFacts(
        account=account,
        total=_whole(account),
        parts=parts,
        studies_by_year=studies,
        census=ledger.census(campaign),
        width=width,
        steps=steps,
        reasons=ledger.reasons(campaign),
        exceptions=lambda: ledger.exceptions(campaign),
    )


def percent(part: int, whole: int) -> str:
    """A share with two digits. Never rounded up: 100 % is all of it."""
    if not whole:
        return "–"
    hundredths = 10000 * part // whole
    return f"{hundredths // 100}.{hundredths % 100:02} %"


def _whole(account: Mapping[str, Any]) -> Amounts:
    """Also what could not be read, which has no study, year or modality."""
    counts = account["counts"]
    states = counts["instances"]
    return Amounts(
        sum(counts["studies"].values()),
        sum(states.values()),
        states.get("verified", 0),
        states.get("excluded", 0),
        sum(states.get(state, 0) for state in ("mismatched", "failed", "parked")),
        sum(counts["bytes"].values()),
    )


def _sums(parts: Iterator[tuple[Any, Amounts]]) -> dict[Any, Amounts]:
    sums: dict[Any, Amounts] = {}
    for key, amounts in parts:
        sums[key] = sums.get(key, Amounts()) + amounts
    return sums
