"""Storage commitment as an SCP: every object is read again before the archive says that it has it (PS3.4 J)."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from vna import metrics
from vna.config_jobs import CommitmentConfig
from vna.errors import Corrupt, Unavailable, VnaError
from vna.index.commitments import CommitmentIndex, Hold
from vna.index.kept_objects import KeptObjectIndex
from vna.model.commitment import (
    Commitment,
    CommitmentLine,
    CommitmentRequest,
    FailureReason,
    Reference,
)
from vna.model.instances import KeptObject, Location
from vna.services.holds import HoldKeeper
from vna.services.storage import ObjectStore

log = logging.getLogger(__name__)

_AT_ONCE = 250
"""References whose rows are looked up together."""

THREADS = 4
_WAITING = 64
"""Requests that one process sees to itself: at once, and waiting for that included; the worker gets the others."""

_SAVE_EVERY = 10.0
"""Seconds between two savings of what was found: a check of many large objects goes on where it was cut off."""

_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that this process works on, alone."""

    commitment: Commitment
    hold: Hold


class CommitmentService:
    """Records requests, checks what they name, and keeps account of their reports. Shared by all threads."""

    def __init__(
        self,
        index: CommitmentIndex,
        kept: KeptObjectIndex,
        objects: ObjectStore,
        settings: CommitmentConfig | None = None,
        doubt: Callable[[Location, VnaError], object] = lambda *_: None,
    ) -> None:
        """`doubt` is told of places that could not be read, so that they are healed."""
        self._index = index
        self._kept = kept
        self._objects = objects
        self._settings = settings or CommitmentConfig()
        self._doubt = doubt
        self._keeper = HoldKeeper(index.renew, self._settings.hold_time)
        self._aside = ThreadPoolExecutor(THREADS, "commitment")
        self._room = threading.Semaphore(_WAITING)

    def request(self, new: CommitmentRequest) -> Claim | None:
        """Record `new` durably with the job that sees to it, claimed by the caller; None: somebody is at it already.

        A caller that dies, or calls `hand_over`, leaves the rest to the job. Raises Unavailable.
        """
        hold = self._keeper.new()
        commitment_id = self._index.request(new, hold)
        if commitment_id is None:
            return None
        self._keeper.keep(hold)
        try:
            return self._claimed(commitment_id, hold)
        except Unavailable:  # it is recorded: the job will find it
            self._keeper.drop(hold)
            return None

    def claim(self, commitment_id: int) -> Claim | None:
        """Take a recorded request up; None when that can't be now, see `wait_time`. Raises Unavailable."""
        hold = self._keeper.new()
        claim = self._claimed(commitment_id, hold)
        if claim is not None:
            self._keeper.keep(hold)
        return claim

    def wait_time(self, commitment_id: int) -> float | None:
        """Seconds until `claim` may succeed; None when nothing is left to do. Raises Unavailable."""
        return self._index.wait_time(commitment_id)

    def check(self, claim: Claim, should_stop: Callable[[], bool]) -> Claim | None:
        """Find out what is kept and keep the findings; None when stopped, or when others have taken over.

        Goes on where an earlier check has stopped. Memory does not grow with the objects. Raises Unavailable
        when the storage or the database does not answer now.
        """
        commitment, hold = claim.commitment, claim.hold
        reasons = list(commitment.reasons)
        todo = commitment.references[len(reasons) :]
        if not todo:
            return claim
        saved = time.monotonic()
        try:
            for reason in self._findings(commitment, todo):
                reasons.append(reason)
                if should_stop() or not self._keeper.holds(hold):
                    break
                if time.monotonic() - saved > _SAVE_EVERY:
                    self._index.found(commitment.commitment_id, reasons, hold)
                    saved = time.monotonic()
        finally:
            is_ours = self._index.found(commitment.commitment_id, reasons, hold)
        if len(reasons) < len(commitment.references) or not is_ours:
            return None
        return replace(claim, commitment=replace(commitment, reasons=tuple(reasons)))

    def may_report(self, claim: Claim) -> bool:
        """Whether the claim still holds, asked for at the last moment before a report. Raises Unavailable."""
        return self._keeper.confirm(claim.hold)

    def reported(self, claim: Claim) -> None:
        """The peer has confirmed the report. Raises Unavailable; the report will be repeated then."""
        self._index.reported(claim.commitment, claim.hold)
        self._keeper.drop(claim.hold)
        outcome = "partly" if claim.commitment.failures else "committed"
        metrics.COMMITMENTS.labels(outcome).inc()

    def failed(self, claim: Claim, error: str) -> None:
        """An attempt failed: the next one comes later, unless there were enough. Raises Unavailable."""
        commitment, settings = claim.commitment, self._settings
        attempts = commitment.attempts + 1
        age = (datetime.now(UTC) - commitment.requested_at).total_seconds()
        if attempts >= settings.max_attempts or age >= settings.max_age:
            self.park(claim, error)
            return
        pause = self._pause(attempts)
        self._index.failed(commitment, claim.hold, error, pause)
        self._keeper.drop(claim.hold)
        log.warning(
            "storage commitment is not reported yet: %s",
            error,
            extra={**_fields(commitment), "attempts": attempts, "next_in": round(pause, 1)},
        )

    def park(self, claim: Claim, error: str) -> None:
        """Give up until a person retries it. Raises Unavailable."""
        self._index.park(claim.commitment, claim.hold, error)
        self._keeper.drop(claim.hold)
        metrics.COMMITMENTS.labels("parked").inc()
        log.error(
            "storage commitment is parked: %s; then run `vna commitments --retry`",
            error,
            extra=_fields(claim.commitment),
        )

    def hand_over(self, claim: Claim) -> None:
        """Leave the rest to the job, at once. Raises Unavailable; the job takes it up after the claim's time then."""
        self._keeper.drop(claim.hold)
        self._index.hand_over(claim.commitment.commitment_id, claim.hold)

    def open(self) -> list[CommitmentLine]:
        """Requests that are not reported, the oldest first. Raises Unavailable."""
        return self._index.open()

    def retry(self, commitment_ids: Sequence[int]) -> list[int]:
        """Try these again now; returns those that are not being worked on already. Raises Unavailable."""
        return self._index.retry(commitment_ids)

    def aside(self, work: Callable[[], None]) -> bool:
        """Run `work` in a thread soon; False when too much waits already, or when closed."""
        if not self._room.acquire(blocking=False):
            return False
        try:
            future = self._aside.submit(work)
        except RuntimeError:
            self._room.release()
            return False
        future.add_done_callback(self._ended)
        return True

    def _ended(self, future: Future[None]) -> None:
        self._room.release()
        if not future.cancelled() and (error := future.exception()) is not None:
            log.error("storage commitment failed and is left to the worker", exc_info=error)

    def close(self) -> None:
        """Wait for what runs aside; what has not begun is left to the job."""
        self._aside.shutdown(cancel_futures=True)
        self._keeper.close()

    @contextmanager
    def working_on(self, claim: Claim) -> Iterator[None]:
        """Whatever happens inside, the claim is not prolonged after it."""
        try:
            yield
        finally:
            self._keeper.drop(claim.hold)

    def _claimed(self, commitment_id: int, hold: Hold) -> Claim | None:
        commitment = self._index.take(commitment_id, hold)
        return None if commitment is None else Claim(commitment, hold)

    def _pause(self, attempts: int) -> float:
        """Twice as long each time, and not for all at the same moment."""
        settings = self._settings
        doublings = min(attempts - 1, 30)
        pause = min(settings.max_retry_delay, settings.retry_delay * float(2**doublings))
        return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret

    def _findings(self, commitment: Commitment, references: Sequence[Reference]) -> Iterator[int]:
        for start in range(0, len(references), _AT_ONCE):
            part = references[start : start + _AT_ONCE]
            known = self._kept.find([reference.sop_instance_uid for reference in part])
            for reference in part:
                kept = known.get(reference.sop_instance_uid, [])
                yield int(self._finding(commitment, reference, kept))

    def _finding(
        self, commitment: Commitment, reference: Reference, kept: Sequence[KeptObject]
    ) -> FailureReason:
        """Every version that is kept under a UID must be whole: which one the peer means can't be known."""
        if not kept:
            return FailureReason.NO_SUCH_OBJECT_INSTANCE
        if all(item.sop_class_uid != reference.sop_class_uid for item in kept):
            return FailureReason.CLASS_INSTANCE_CONFLICT
        for item in kept:
            if not self._is_intact(commitment, item):
                log.error(
                    "a stored object is lost or damaged; restore it, or have the instance sent again",
                    extra={
                        "key": item.location.key,
                        "sop_instance_uid": reference.sop_instance_uid,
                    },
                )
                return FailureReason.PROCESSING_FAILURE
        return FailureReason.KEPT

    def _is_intact(self, commitment: Commitment, kept: KeptObject) -> bool:
        """Whether its bytes can be read, where it lies or from a copy. Raises Unavailable while that can't be told."""
        away: Unavailable | None = None
        for place in (kept.location, *kept.copies):
            try:
                if self._objects.is_intact(place, kept.object_digest):
                    return True
                error: VnaError = Corrupt(f"stored object {place.key} is lost or damaged")
            except Unavailable as exc:
                error = away = exc
            if kept.copies:
                self._doubt(place, error)
        age = (datetime.now(UTC) - commitment.requested_at).total_seconds()
        if away is not None and age < self._settings.storage_patience:
            raise away
        return False


def _fields(commitment: Commitment) -> dict[str, str | int]:
    return {
        "peer": commitment.peer,
        "transaction_uid": commitment.transaction_uid,
        "references": len(commitment.references),
    }
