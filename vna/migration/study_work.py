"""What a worker does about one study: list it, fetch what is missing, verify what has landed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vna.errors import VnaError
from vna.index.inventory_ledger import InventoryLedger
from vna.index.transfer_ledger import TransferLedger
from vna.migration.correction_check import NOT_CORRECTED
from vna.migration.outcome import (
    TO_FETCH,
    Fetched,
    end_of,
    missing,
    nothing_listed,
)
from vna.migration.proof import Prover, Rules
from vna.migration.receiving import Receiver, Store
from vna.migration.rules.in_force import RulesBook
from vna.migration.sources.base import MigrationSource, SourceBusy, SourceError
from vna.migration.throttle import Throttle
from vna.model.campaign import (
    AttemptNote,
    Campaign,
    CampaignSettings,
    InstanceItem,
    ItemState,
    Reason,
    StudyEnd,
    StudyItem,
    Verdict,
)
from vna.model.identifiers import Origin
from vna.model.migration import FetchReport, FoundInstance

ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Tools:
    """What works on studies: the two faces of the ledger, where instances are kept, what verifies and what corrects
    them.
    """

    ledger: TransferLedger
    inventory: InventoryLedger
    store: Store
    prover: Prover
    rules: RulesBook


@dataclass(slots=True)
class Progress:
    """How far the work on a study is, for whoever watches it."""

    receiver: Receiver | None = None
    has_fetched: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a study: to be written. `report` and the `seconds` of its fetch are for the pace."""

    end: StudyEnd
    verdicts: Sequence[Verdict] = ()
    report: FetchReport | None = None
    seconds: float = 0.0


RELEASED = StudyEnd(ItemState.QUEUED, is_counted=False)
"""A study that is left as it is, for whoever comes next."""


class StudyWork:
    """The work on studies of one campaign. Shared by threads; each step is harmless to repeat."""

    def __init__(
        self, tools: Tools, source: MigrationSource, campaign: Campaign, throttle: Throttle
    ) -> None:
        self._tools, self._source, self._campaign = tools, source, campaign
        self._throttle = throttle
        self._correcting = tools.rules.correcting(campaign)
        self._keeps_bytes = source.capabilities().keeps_bytes

    def do(
        self,
        study: StudyItem,
        worker: int,
        settings: CampaignSettings,
        progress: Progress,
        should_stop: ShouldStop,
    ) -> Done:
        """Get on with `study` as far as it goes. Raises SourceError and its kinds, Unavailable, OutOfSpace."""
        gap = "" if study.is_listed else self._list(study)
        items = self._tools.ledger.instances(study)
        if not any(item.is_listed for item in items):
            if gap:
                raise SourceError(gap)
            return Done(nothing_listed(study, settings))
        report, seconds, fetched = None, 0.0, None
        if any(item.state in TO_FETCH for item in items) and not should_stop():
            started = time.monotonic()
            fetched = self._fetch(study, worker, items, progress, should_stop)
            report, seconds = fetched.report, time.monotonic() - started
            if fetched.unlisted and not should_stop():
                gap = self._list(study)  # what came may be new at the source
            items = self._tools.ledger.instances(study)
            if report.was_busy and any(item.state in TO_FETCH for item in items):
                raise SourceBusy(report.said)
        progress.has_fetched = True
        done = self._verified(study, worker, items, fetched, settings, should_stop)
        if gap and done.end.state is ItemState.VERIFIED:
            done = replace(done, end=StudyEnd(ItemState.MISMATCHED, Reason.NOT_ALL_LISTED, gap))
        return replace(done, report=report, seconds=seconds)

    def broken_off(
        self, study: StudyItem, end: StudyEnd, settings: CampaignSettings, should_stop: ShouldStop
    ) -> Done:
        """What is to be written of a study after an error: what has landed is verified, the rest ends as the study."""
        items = self._tools.ledger.instances(study)
        verdicts = [
            Verdict(item.instance_id, end.state, end.reason, end.detail)
            for item in items
            if item.state in TO_FETCH
        ]
        if end is not RELEASED:
            rules = Rules(settings, self._keeps_bytes, should_stop, self._correcting)
            verdicts += self._tools.prover.prove(study, items, rules)
        return Done(end, verdicts)

    def is_up(self) -> bool:
        """Whether the source lets us in at all."""
        try:
            self._source.check()
        except VnaError:
            return False
        return True

    def _list(self, study: StudyItem) -> str:
        """Write down what the source has of it; why that is not all, if it is not. Raises SourceUnavailable."""
        found: list[FoundInstance] = []
        gap = ""
        try:
            found.extend(self._source.instances(study.found))
        except SourceError as exc:
            if exc.transient:
                raise
            gap = str(exc) or "the source gives no reason"
        number = max(1, self._campaign.inventory)
        self._tools.inventory.instances(study.study_id, number, found, is_whole=not gap)
        return gap

    def _fetch(
        self,
        study: StudyItem,
        worker: int,
        items: Sequence[InstanceItem],
        progress: Progress,
        should_stop: ShouldStop,
    ) -> Fetched:
        ledger, throttle = self._tools.ledger, self._throttle
        wanted = [item for item in items if item.state in TO_FETCH]
        listed = [item for item in items if item.is_listed]
        origin = Origin(
            "migration", self._campaign.name, correlation_id=f"{worker}-{study.study_id}"
        )
        rules = self._tools.rules.newest(self._campaign)
        receiver = Receiver(self._tools.store, ledger, study, listed, origin, rules)
        progress.receiver = receiver
        ledger.transferring([item.instance_id for item in wanted])
        report, started = FetchReport(said="it broke off"), time.monotonic()
        try:
            report = self._source.fetch(
                study.found,
                [item.found for item in wanted],
                lambda spooled, found: receiver.take(spooled, found, throttle, should_stop),
                should_stop,
                [item.found for item in listed],
            )
        finally:
            receiver.note(is_last=True)
            note = AttemptNote(
                len(wanted),
                len(receiver.landed) + receiver.unlisted,
                receiver.size,
                time.monotonic() - started,
                report.said,
            )
            ledger.attempted(study.study_id, worker, note)
        return Fetched(
            report,
            receiver.landed,
            receiver.unlisted,
            receiver.refused,
            receiver.uncorrectable,
            receiver.patients,
        )

    def _torn(
        self, study: StudyItem, items: Sequence[InstanceItem], fetched: Fetched | None
    ) -> StudyEnd | None:
        """How a study ends that rules, or several versions of them, give to more patients than it came with."""
        if all(item.rules is None for item in items):
            return None
        if fetched is not None:
            before, after = ({pair[place] for pair in fetched.patients} for place in (0, 1))
            if len(after) > len(before):
                detail = f"{len(after)} patients, {len(before)} at the source"
                return StudyEnd(ItemState.MISMATCHED, Reason.SEVERAL_PATIENTS, detail)
        others = self._tools.ledger.of_other_patients(study)
        detail = f"{others} of {len(items)} instances are of other patients"
        return StudyEnd(ItemState.MISMATCHED, Reason.SEVERAL_PATIENTS, detail) if others else None

    def _remarks(self, study: StudyItem, verdicts: Sequence[Verdict]) -> str:
        """What a person may want to know of a study that is verified."""
        remarks: list[str] = []
        if others := self._tools.ledger.others(study):
            remarks.append(f"{others} more instances in the archive are not from this source")
        if old := sum(NOT_CORRECTED in verdict.evidence for verdict in verdicts):
            remarks.append(
                f"{old} instances were in the archive already, and are not corrected by the rules"
            )
        return "; ".join(remarks)

    def _verified(
        self,
        study: StudyItem,
        worker: int,
        items: Sequence[InstanceItem],
        fetched: Fetched | None,
        settings: CampaignSettings,
        should_stop: ShouldStop,
    ) -> Done:
        """Verdicts about what has landed and what has not, and how the study stands by them."""
        if not any(item.state in TO_FETCH for item in items):
            self._tools.ledger.study_landed(study.study_id, worker)
        rules = Rules(settings, self._keeps_bytes, should_stop, self._correcting)
        verdicts = self._tools.prover.prove(study, items, rules)
        if should_stop() and not _is_whole(items, verdicts):
            return Done(RELEASED, [*verdicts, *_left(items)])
        verdicts += missing(study, items, fetched, settings)
        end = end_of(study, items, verdicts, fetched, settings)
        if end.state is ItemState.VERIFIED:
            end = self._torn(study, items, fetched) or replace(
                end, detail=self._remarks(study, verdicts)
            )
        if end.state is ItemState.PARKED:
            verdicts = [_parked(verdict) for verdict in verdicts]
        return Done(end, verdicts)


def _is_whole(items: Sequence[InstanceItem], verdicts: Sequence[Verdict]) -> bool:
    """Whether nothing is left to fetch or to verify."""
    landed = sum(item.state is ItemState.LANDED for item in items)
    return len(verdicts) == landed and not any(item.state in TO_FETCH for item in items)


def _left(items: Sequence[InstanceItem]) -> list[Verdict]:
    """What was asked for and has not come waits again."""
    return [
        Verdict(item.instance_id, ItemState.QUEUED)
        for item in items
        if item.state is ItemState.TRANSFERRING
    ]


def _parked(verdict: Verdict) -> Verdict:
    if verdict.state is not ItemState.FAILED:
        return verdict
    return replace(verdict, state=ItemState.PARKED)
