"""Objects of a source to try rules on: a few, spread over all that it has; nothing of them is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from vna.dicom.encoding import Buffer
from vna.migration.sources.base import MigrationSource, SourceError, SupportsWalk, Unreadable
from vna.model.campaign import Campaign, InstanceItem, StudyItem
from vna.model.migration import FetchReport, FoundInstance, FoundStudy, Scope
from vna.spool import Spooled

TRIES = 3
"""So many times as many studies are asked for as samples are wanted, for some may not come."""


class Ledger(Protocol):
    """What is needed of vna.index.transfer_ledger.TransferLedger."""

    def samples(
        self, campaign: Campaign, limit: int, uids: Sequence[str] | None = None
    ) -> list[StudyItem]: ...
    def instances(self, study: StudyItem) -> list[InstanceItem]: ...


@dataclass(frozen=True, slots=True)
class Missed:
    """A study of which no sample came, and why."""

    study_instance_uid: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which samples: `count` at most, of different studies; of the study with this UID one of each series."""

    count: int
    study_instance_uid: str = ""


Look = Callable[[Buffer], None]
ShouldStop = Callable[[], bool]


class Sampling:
    """Fetches samples of one campaign, one after the other."""

    def __init__(self, source: MigrationSource, ledger: Ledger, campaign: Campaign) -> None:
        self._source, self._ledger, self._campaign = source, ledger, campaign

    def run(self, wanted: Wanted, look: Look, should_stop: ShouldStop) -> list[Missed]:
        """Show each sample to `look`; what did not come. Raises SourceUnavailable."""
        missed: list[Missed] = []
        left = wanted.count
        for study, found in self._found(wanted):
            if left <= 0 or should_stop():
                break
            try:
                instances = found or list(self._of(study, wanted))
                taken, said = self._fetch(study, instances[:left], look, should_stop)
            except SourceError as exc:
                if exc.transient:
                    raise
                taken, said = 0, str(exc)
            left -= taken
            if not taken:
                missed.append(Missed(study.study_instance_uid, said))
        return missed

    def _found(self, wanted: Wanted) -> Iterator[tuple[FoundStudy, list[FoundInstance]]]:
        """Studies, with their instances where they are known."""
        uids = [wanted.study_instance_uid] if wanted.study_instance_uid else None
        known = self._ledger.samples(self._campaign, wanted.count * TRIES, uids)
        for item in known:
            listed = [i.found for i in self._ledger.instances(item) if i.is_listed]
            yield item.found, _chosen(listed, wanted)
        if known:
            return
        scope = Scope(study_instance_uids=tuple(uids)) if uids else self._campaign.scope
        if isinstance(self._source, SupportsWalk):
            yield from _walked(self._source, scope, wanted)
        else:
            studies = self._source.studies(scope)
            if uids:
                studies = (study for study in studies if study.study_instance_uid in uids)
            yield from ((study, []) for study in islice(studies, wanted.count * TRIES))

    def _of(self, study: FoundStudy, wanted: Wanted) -> list[FoundInstance]:
        return _chosen(self._source.instances(study), wanted)

    def _fetch(
        self,
        study: FoundStudy,
        found: Sequence[FoundInstance],
        look: Look,
        should_stop: ShouldStop,
    ) -> tuple[int, str]:
        """How many came of those that were asked for, and what was said if none did."""
        uids = {item.uids.sop_instance_uid for item in found}
        seen: list[str] = []

        def take(spooled: Spooled, item: FoundInstance | None) -> None:
            if item is None or item.uids.sop_instance_uid not in uids:
                return  # some sources send whole studies
            with spooled.buffer() as buffer:
                look(buffer)
            seen.append(item.uids.sop_instance_uid)

        if not found:
            return 0, "it has no instances"
        report = self._source.fetch(study, found, take, should_stop)
        return len(seen), _said(report)


def _chosen(
    found: Iterator[FoundInstance] | Sequence[FoundInstance], wanted: Wanted
) -> list[FoundInstance]:
    """The first instance; where one study is looked at, the first of each series."""
    first: dict[str, FoundInstance] = {}
    for item in found:
        first.setdefault(item.uids.series_instance_uid, item)
        if not wanted.study_instance_uid:
            break
    return list(first.values())


def _walked(
    source: SupportsWalk, scope: Scope, wanted: Wanted
) -> Iterator[tuple[FoundStudy, list[FoundInstance]]]:
    """One instance of each of the first studies, or series, that a walk comes by."""
    known: set[str] = set()
    for item in source.walk(scope):
        if isinstance(item, Unreadable):
            continue
        study, instance = item
        uids = instance.uids
        uid = uids.series_instance_uid if wanted.study_instance_uid else uids.study_instance_uid
        if uid not in known:
            known.add(uid)
            yield study, [instance]


def _said(report: FetchReport) -> str:
    reasons = [failure.reason for failure in report.failures]
    return (
        reasons[0] if reasons else f"it did not come; the source said: {report.said or 'nothing'}"
    )
