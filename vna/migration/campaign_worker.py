"""A worker of one campaign: takes studies from the ledger, as many at once as the source bears."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vna import metrics
from vna.errors import Unavailable, VnaError
from vna.index.campaigns import CampaignIndex
from vna.migration.hours import least_at, share_of
from vna.migration.outcome import missed
from vna.migration.pace import AdaptiveLimit
from vna.migration.sources.base import (
    MigrationSource,
    SourceBusy,
    SourceError,
    SourceUnavailable,
)
from vna.migration.study_work import RELEASED, Done, Progress, StudyWork, Tools
from vna.migration.throttle import Throttle
from vna.model.campaign import (
    PULSE_SECONDS,
    Campaign,
    CampaignSettings,
    CampaignState,
    ItemState,
    Orders,
    Reason,
    StudyEnd,
    StudyItem,
    WorkerPulse,
)

log = logging.getLogger(__name__)

_UNIT = 512 * 1024
_VERIFYING = 4
_REST, _LONGEST_REST = 1.0, 8.0
_SOON = 5.0
_PATIENCE = 20
"""So often in a row a study may find a source busy that others may have nothing to say to any more."""
_STOP_SECONDS = 10.0


@dataclass(eq=False)
class _Job:
    """A study under way, in a thread of its own."""

    study: StudyItem
    progress: Progress = field(default_factory=Progress)
    thread: threading.Thread | None = None


class CampaignWorker:
    """Works on a campaign until it is paused or done, or told to stop. `run` is called once.

    Every half a second it gives a sign of life, and learns whether to go on; whoever gave none for a while counts as
    dead, and gives up what it holds.
    """

    def __init__(
        self,
        campaign: Campaign,
        source: MigrationSource,
        tools: Tools,
        campaigns: CampaignIndex,
        name: str,
    ) -> None:
        self._campaign, self._campaigns = campaign, campaigns
        self._ledger, self._name = tools.ledger, name
        self._throttle = Throttle()
        self._work = StudyWork(tools, source, campaign, self._throttle)
        self._limit = AdaptiveLimit(0)
        self._settings = campaign.settings
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._leaving = threading.Event()
        self._jobs: set[_Job] = set()
        self._worker = 0
        self._is_ready = False
        self._rest_until = 0.0
        self._rest = _REST
        self._note = ""
        self._went_well_at = 0.0
        self._postponed_at: dict[int, float] = {}
        self._found_busy: Counter[int] = Counter()

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Work. What is under way when it has to stop is given back, whole instances at a time."""
        pulse_at = 0.0
        while not should_stop():
            try:
                now = time.monotonic()
                if now >= pulse_at:
                    pulse_at = now + PULSE_SECONDS
                    if not self._beat():
                        break
                self._fill()
            except Unavailable as exc:
                log.warning("migration: %s", exc, extra={"campaign": self._campaign.name})
                pulse_at = time.monotonic() + PULSE_SECONDS
            self._wake.wait(max(0.0, pulse_at - time.monotonic()))
            self._wake.clear()
        self._leave()

    def _beat(self) -> bool:
        """A sign of life; False when there is nothing more to do."""
        if not self._worker:
            number = self._ledger.enlist(self._campaign, self._name)
            if number is None:
                return False
            self._worker = number
        with self._lock:
            receivers = [job.progress.receiver for job in self._jobs]
            fetching = self._fetching()
        pulse = WorkerPulse(fetching, self._limit.limit, self._said())
        orders = self._ledger.pulse(self._worker, pulse)
        if orders is None:
            log.warning("migration: others took this worker for dead; it begins anew")
            self._give_up()
            return True
        for receiver in filter(None, receivers):
            receiver.note()
        self._tune(orders)
        self._ledger.tidy(self._campaign)
        if orders.state is not CampaignState.RUNNING:
            return False
        return bool(receivers) or not self._campaigns.finish(self._campaign)

    def _tune(self, orders: Orders) -> None:
        """The ceilings of this hour, as far as they are this worker's. The others learn of a new one at their next
        sign of life: until then it does not begin.
        """
        self._settings = orders.settings
        whole = least_at((orders.settings, *orders.neighbours), datetime.now(UTC))
        mine = share_of(whole, orders.workers, orders.rank)
        free = max(0, whole.associations - orders.others_active)
        is_waiting = orders.workers > 1 and not self._is_ready
        self._is_ready = True
        self._limit.ceiling = 0 if is_waiting else min(mine.associations, free)
        self._note = "" if whole.associations else "no transfer at this hour of the calendar"
        self._throttle.instances = mine.instances_per_second
        self._throttle.size = mine.bytes_per_second

    def _said(self) -> str:
        left = self._rest_until - time.monotonic()
        return self._note if left <= 0 else f"{self._note}; rests for {left:.0f} s"

    def _fill(self) -> None:
        """Take studies as long as there is room for them."""
        while not self._leaving.is_set() and self._has_room():
            study = self._ledger.claim(self._campaign, self._worker)
            if study is None:
                return
            job = _Job(study)
            job.thread = threading.Thread(
                target=self._do,
                args=(job, self._worker),
                name=f"migrate-{study.study_id}",
                daemon=True,
            )
            with self._lock:
                self._jobs.add(job)
            job.thread.start()

    def _has_room(self) -> bool:
        if not self._worker or time.monotonic() < self._rest_until:
            return False
        with self._lock:
            fetching = self._fetching()
            return fetching < self._limit.slots and len(self._jobs) - fetching < _VERIFYING

    def _fetching(self) -> int:
        """How many studies are being asked for; of the others all has come and is verified."""
        return sum(not job.progress.has_fetched for job in self._jobs)

    def _do(self, job: _Job, worker: int) -> None:
        """The life of a thread: one study, then its end in the ledger."""
        try:
            done = self._attempt(job, worker)
            if not self._ledger.finish(job.study.study_id, worker, done.verdicts, done.end):
                return
            metrics.MIGRATED_STUDIES.labels(self._campaign.name, done.end.state.value).inc()
            for verdict in done.verdicts:
                metrics.MIGRATED_INSTANCES.labels(self._campaign.name, verdict.state.value).inc()
        except VnaError as exc:  # nobody could be told: whoever comes next finds out what is there
            log.warning("migration: %s", exc, extra={"campaign": self._campaign.name})
            with self._lock:
                self._worker = self._worker if self._worker != worker else 0
        finally:
            with self._lock:
                self._jobs.discard(job)
            self._wake.set()

    def _attempt(self, job: _Job, worker: int) -> Done:
        study, settings, is_over = job.study, self._settings, self._is_over(worker)
        try:
            done = self._work.do(study, worker, settings, job.progress, is_over)
        except Exception as exc:  # noqa: BLE001 - `_end_after` tells them apart, and logs what is unforeseen
            end = self._end_after(exc, study, settings)
            job.progress.has_fetched = True
            return self._work.broken_off(study, end, settings, is_over)
        self._went_on(study.study_id, done)
        return done

    def _end_after(
        self, error: Exception, study: StudyItem, settings: CampaignSettings
    ) -> StudyEnd:
        """How a study ends that an error has cut off."""
        text = str(error)
        match error:
            case _ if self._leaving.is_set():
                return RELEASED
            case SourceBusy():
                self._be_modest()
                self._take_rest(f"the source is busy: {text}")
                return self._postponed(study, settings, Reason.SOURCE_BUSY, text)
            case SourceUnavailable():
                self._be_modest()
                return self._was_away(study, settings, text)
            case SourceError():
                return missed(study, settings, Reason.SOURCE_ERROR, text)
            case VnaError(transient=True):
                self._take_rest(f"the archive can't keep more now: {text}")
                return self._postponed(study, settings, Reason.ARCHIVE_UNAVAILABLE, text)
        log.error("migration of a study failed in an unforeseen way", exc_info=error)
        return missed(study, settings, Reason.UNFORESEEN, f"{type(error).__name__}: {text}")

    def _is_over(self, worker: int) -> Callable[[], bool]:
        return lambda: self._leaving.is_set() or self._worker != worker

    def _went_on(self, study_id: int, done: Done) -> None:
        """What a fetch that came to its end tells of the pace."""
        report = done.report
        if report is None or report.was_stopped:
            return
        now = time.monotonic()
        with self._lock:
            if report.was_busy:
                self._limit.was_refused(now)
                return
            self._rest, self._went_well_at = _REST, now
            self._postponed_at.pop(study_id, None)
            del self._found_busy[study_id]
            units = max(report.taken, report.taken_bytes / _UNIT)
            active = self._fetching() + 1
            self._limit.went_well(now, done.seconds / units if units else None, active)

    def _be_modest(self) -> None:
        with self._lock:
            self._limit.was_refused(time.monotonic())

    def _was_away(self, study: StudyItem, settings: CampaignSettings, said: str) -> StudyEnd:
        """The source broke off: the study's attempt counts when the source is there otherwise."""
        is_up = self._work.is_up()
        self._take_rest(f"the source broke off: {said}")
        if is_up:
            return missed(study, settings, Reason.SOURCE_UNAVAILABLE, said)
        return self._postponed(study, settings, Reason.SOURCE_UNAVAILABLE, said)

    def _postponed(
        self, study: StudyItem, settings: CampaignSettings, reason: Reason, said: str
    ) -> StudyEnd:
        """The study makes room for others. Where these go well and it fails again, it counts as its own fault; so it
        does when the source has been too busy for it again and again.
        """
        with self._lock:
            before = self._postponed_at.get(study.study_id)
            self._postponed_at[study.study_id] = time.monotonic()
            is_its_fault = before is not None and before < self._went_well_at
            self._found_busy[study.study_id] += reason is Reason.SOURCE_BUSY
            is_its_fault |= self._found_busy[study.study_id] > _PATIENCE
            others_turn = 2 * max(0.0, self._rest_until - time.monotonic())
        if is_its_fault:
            return missed(study, settings, reason, said)
        pause = max(others_turn, min(settings.retry_seconds, _SOON))
        return StudyEnd(ItemState.FAILED, reason, said, pause=pause, is_counted=False)

    def _take_rest(self, why: str) -> None:
        """Begin nothing for a while, for longer each time in a row."""
        with self._lock:
            self._rest_until = time.monotonic() + self._rest
            self._rest = min(_LONGEST_REST, 2 * self._rest)
            self._note = why

    def _give_up(self) -> None:
        """Others hold what this worker held: its threads find that out, and end."""
        with self._lock:
            self._worker = 0
        self._is_ready = False

    def _leave(self) -> None:
        """End what is under way, and give back what is not done."""
        self._leaving.set()
        deadline = time.monotonic() + _STOP_SECONDS
        with self._lock:
            threads = [job.thread for job in self._jobs if job.thread is not None]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._worker:
            try:
                self._ledger.resign(self._worker)
            except Unavailable as exc:
                log.warning("migration: %s; its lease ends by itself", exc)
