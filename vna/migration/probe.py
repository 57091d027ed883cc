"""What a source can do, measured on samples: nothing that it gives is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, runtime_checkable

from blake3 import blake3

from vna.dicom.envelope import read_envelope
from vna.migration.sources.base import MigrationSource, SourceError, SupportsWalk, Unreadable
from vna.migration.sweep import StudySweep
from vna.model.migration import FetchReport, FoundInstance, FoundStudy, Scope
from vna.spool import Spooled

SAMPLE_STUDIES = 5
SAMPLE_INSTANCES = 200
MOST_SEARCHED = 60
"""Questions that are asked to find a cap: those of a whole inventory would take too long."""

MOST_WALKED = 500


@dataclass(slots=True)
class ProbeReport:
    """What was seen. Rates are of one association; None: not measured.

    `services` and `syntaxes` by name, whether they are accepted; `cap`: the most results of one question, 0: none
    noticed; `studies` and `instances`: how many were seen and what they claim; `proposals`: options to set.
    """

    kind: str
    services: Mapping[str, bool] = field(default_factory=dict)
    syntaxes: Mapping[str, bool] = field(default_factory=dict)
    cap: int = 0
    questions: int = 0
    seconds_per_question: float | None = None
    is_relational: bool | None = None
    studies: int = 0
    instances: int = 0
    counts_instances: bool = False
    has_stable_uids: bool | None = None
    has_stable_bytes: bool | None = None
    fetched: int = 0
    fetched_bytes: int = 0
    fetch_seconds: float = 0.0
    proposals: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def instances_per_second(self) -> float | None:
        """None without a sample."""
        return self.fetched / self.fetch_seconds if self.fetched and self.fetch_seconds else None

    @property
    def bytes_per_second(self) -> float | None:
        """None without a sample."""
        return (
            self.fetched_bytes / self.fetch_seconds if self.fetched and self.fetch_seconds else None
        )


@runtime_checkable
class Searchable(Protocol):
    """A source whose studies are found by questions."""

    def sweep(self, scope: Scope) -> StudySweep: ...


@runtime_checkable
class Inspectable(Protocol):
    """A source with more to be seen than every source has."""

    def inspect(self, report: ProbeReport, sample: Sequence[FoundStudy]) -> None:
        """Add what is seen to the report. Raises SourceError."""
        ...


def probe(
    source: MigrationSource, scope: Scope, should_stop: Callable[[], bool] = lambda: False
) -> ProbeReport:
    """Look at a source. Raises SourceError when it does not let us in at all; what else fails is a note."""
    source.check()
    report = ProbeReport(source.capabilities().kind)
    listed = _searched(source, scope, report)
    if isinstance(source, Inspectable):
        _noting(report, lambda: source.inspect(report, [study for study, _ in listed]))
    _noting(report, lambda: _fetch_samples(source, listed, report, should_stop))
    return report


def _searched(
    source: MigrationSource, scope: Scope, report: ProbeReport
) -> list[tuple[FoundStudy, list[FoundInstance]]]:
    """Sample studies, with instances where those are known by now."""
    started = time.monotonic()
    if isinstance(source, SupportsWalk):
        sample = _walked(source, scope, report)
    elif isinstance(source, Searchable):
        sample = [(study, list[FoundInstance]()) for study in _swept(source, scope, report)]
    else:
        sample = []
    if report.questions:
        report.seconds_per_question = (time.monotonic() - started) / report.questions
    return sample[:SAMPLE_STUDIES]


def _swept(source: Searchable, scope: Scope, report: ProbeReport) -> list[FoundStudy]:
    """Studies with few instances first, since they are to be fetched."""
    sweep = source.sweep(scope)
    found: list[FoundStudy] = []
    studies = sweep.studies()
    broadest = 0
    try:
        for study in studies:
            found.append(study)
            if sweep.facts.queries <= 1:
                broadest = len(found)
            if sweep.facts.queries > MOST_SEARCHED:
                report.notes.append("more studies are there than were looked at")
                break
    except SourceError as exc:
        report.notes.append(str(exc))
    finally:
        studies.close()  # type: ignore[attr-defined]
    report.questions = sweep.facts.queries
    claims = [study.number_of_instances for study in found]
    report.studies, report.instances = len(found), sum(filter(None, claims))
    report.counts_instances = bool(claims) and None not in claims
    if len(found) > broadest >= 10:
        report.cap = broadest
        report.proposals["max_results"] = str(broadest)
    return sorted(found, key=lambda study: study.number_of_instances or SAMPLE_INSTANCES)


def _walked(
    source: SupportsWalk, scope: Scope, report: ProbeReport
) -> list[tuple[FoundStudy, list[FoundInstance]]]:
    listed: dict[str, tuple[FoundStudy, list[FoundInstance]]] = {}
    for found in islice(source.walk(scope), MOST_WALKED):
        report.questions += 1
        if isinstance(found, Unreadable):
            report.notes.append(f"{found.place}: {found.reason}")
            continue
        study, instance = found
        listed.setdefault(study.study_instance_uid, (study, []))[1].append(instance)
        report.instances += 1
    report.studies = len(listed)
    if report.questions == MOST_WALKED:
        report.notes.append("more objects are there than were looked at")
    return list(listed.values())


def _fetch_samples(
    source: MigrationSource,
    listed: Sequence[tuple[FoundStudy, list[FoundInstance]]],
    report: ProbeReport,
    should_stop: Callable[[], bool],
) -> None:
    for study, known in listed:
        if should_stop() or report.fetched >= SAMPLE_INSTANCES:
            return
        found = known or list(islice(source.instances(study), SAMPLE_INSTANCES))
        if not found:
            report.notes.append(f"study {study.study_instance_uid} has no instances")
            continue
        if report.has_stable_uids is None:
            _compare(source, study, found[0], report, should_stop)
        sample, started = _Sample(), time.monotonic()
        fetched = source.fetch(study, found[:SAMPLE_INSTANCES], sample, should_stop)
        report.fetch_seconds += time.monotonic() - started
        _count(report, fetched)


def _count(report: ProbeReport, fetched: FetchReport) -> None:
    report.fetched += fetched.taken
    report.fetched_bytes += fetched.taken_bytes
    report.notes += [
        f"instance {failure.sop_instance_uid}: {failure.reason}" for failure in fetched.failures
    ]


def _compare(
    source: MigrationSource,
    study: FoundStudy,
    instance: FoundInstance,
    report: ProbeReport,
    should_stop: Callable[[], bool],
) -> None:
    """Fetch one instance twice: the same UIDs, the same bytes?"""
    first, second = _Sample(), _Sample()
    for sample in (first, second):
        source.fetch(study, [instance], sample, should_stop)
    if not first.objects or not second.objects:
        report.notes.append(f"instance {instance.uids.sop_instance_uid} did not come")
        return
    report.has_stable_uids = set(first.objects) == set(second.objects) and all(first.matched)
    report.has_stable_bytes = first.objects == second.objects


class _Sample:
    """Keeps the digests of datasets only, by SOP Instance UID; whether each was one that was asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.matched: list[bool] = []
        self._lock = threading.Lock()

    def __call__(self, spooled: Spooled, found: FoundInstance | None) -> None:
        with spooled.buffer() as buffer:
            envelope = read_envelope(buffer)
            digest = blake3(buffer[envelope.dataset_offset :]).hexdigest()
        uid = envelope.meta.get(0x00020003, "")
        with self._lock:
            self.objects[uid] = digest
            self.matched.append(found is not None)


def _noting(report: ProbeReport, step: Callable[[], None]) -> None:
    try:
        step()
    except SourceError as exc:
        report.notes.append(str(exc))
