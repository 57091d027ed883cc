"""The final check of a campaign: the ledger against the archive as it is, before a source may be switched off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Findings:
    """What a check has counted.

    `studies`, `instances`, `sizes` (bytes): by state. `exceptions`: instances that are not verified, by state and
    reason with a space between, or by the state of their study when they share its fate; `study_exceptions`: studies
    likewise that have no such instance. `unexplained`: instances of studies that are done that are neither verified
    nor exceptions, which must not be. `checked` verified instances were looked up in the archive, and `reread` of
    them read again. `faults`: verified ones of which that failed; they are exceptions since. `gone`: studies that the
    newest inventory does not have any more. `others`: instances that the archive has of these studies and the ledger
    does not: they came another way.
    """

    studies: Counter[str] = field(default_factory=Counter)
    instances: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[str] = field(default_factory=Counter)
    study_exceptions: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0
    checked: int = 0
    reread: int = 0
    faults: int = 0
    gone: int = 0
    others: int = 0

    @property
    def to_accept(self) -> int:
        """Instances, and studies without such ones, that are neither proven nor left out on purpose."""
        return sum(
            count
            for counts in (self.exceptions, self.study_exceptions)
            for key, count in counts.items()
            if not key.startswith("excluded")
        )


@dataclass(frozen=True, slots=True)
class FinalCheck:
    """One check. `ended_at` None: it was cut off, and goes on behind the study `position`.

    `has_passed`: everything that the source has is in the archive, or is an exception; with `accepts_exceptions` a
    person has accepted those that are no decisions anyway. `is_current`: nothing was changed about the campaign since.
    """

    check_id: int
    inventory: int
    position: int
    began_at: datetime
    ended_at: datetime | None
    is_reread: bool
    has_passed: bool
    accepts_exceptions: bool
    operator: str
    findings: Findings
    is_current: bool


def findings_of(tree: Mapping[str, Any]) -> Findings:
    """The findings that `tree_of` made `tree` of; what an older version did not count is zero."""
    findings = Findings()
    for name, value in tree.items():
        setattr(findings, name, Counter(value) if isinstance(value, Mapping) else value)
    return findings


def tree_of(findings: Findings) -> dict[str, object]:
    """The findings as plain values."""
    values = ((item.name, getattr(findings, item.name)) for item in fields(findings))
    return {name: dict(value) if isinstance(value, Counter) else value for name, value in values}
