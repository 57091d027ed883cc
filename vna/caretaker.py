"""What a worker looks after between jobs: it puts those that are due, and does what takes no time itself."""

from __future__ import annotations

import time

from vna import metrics
from vna.config import Config
from vna.index.changes import ChangeIndex
from vna.index.commitments import CommitmentIndex
from vna.index.database import Database
from vna.index.draining import DrainIndex
from vna.index.jobs import JobQueue, NewJob
from vna.index.metadata_documents import MetadataDocumentIndex
from vna.index.partitioning import tell_planner
from vna.index.post_upgrades import Rewriting
from vna.index.replicas import ReplicaIndex
from vna.index.trash import TrashIndex
from vna.index.verification import VerificationIndex
from vna.model.commitment import CommitmentState, unknown_peer
from vna.model.draining import DRAIN_JOB
from vna.model.replicas import COPY_JOB
from vna.model.series import SETTLE_JOB
from vna.model.trash import SWEEP_JOB
from vna.model.verification import SCRUB_JOB

_TIDY_EVERY = 3600.0
_REWRITE_SECONDS = 1.0
"""Of each round, while there is something from before an upgrade to rewrite."""


class Caretaker:
    """What has to be looked after from time to time."""

    def __init__(self, config: Config, database: Database) -> None:
        self._config = config
        self._database = database
        self._jobs = JobQueue(database)
        self._commitments = CommitmentIndex(database, self._jobs)
        self._changes = ChangeIndex(database)
        self._trash = TrashIndex(database)
        self._documents = MetadataDocumentIndex(database)
        self._verification = VerificationIndex(database)
        self._drains = DrainIndex(database)
        self._replicas = ReplicaIndex(database)
        self._copied_to: set[str] = set()
        self._rewriting = Rewriting(database)
        self._tidied: float | None = None

    def look_after(self) -> None:
        """Called every few seconds. Raises Unavailable."""
        self._changes.number()
        self._settle()
        self._copy()
        self._drain()
        tell_planner(self._database)
        now = time.monotonic()
        while self._rewriting.step() and time.monotonic() - now < _REWRITE_SECONDS:
            pass
        if self._tidied is not None and now - self._tidied < _TIDY_EVERY:
            return
        self._resume()
        self._commitments.forget(self._config.commitment.keep_days)
        if self._config.changes.keep_days:
            self._changes.forget(self._config.changes.keep_days)
        if self._trash.is_due(self._config.trash.keep_days):
            self._jobs.defer(NewJob(SWEEP_JOB))
        self._scrub()
        self._tell_coverage()
        self._tidied = now

    def _drain(self) -> None:
        is_due = bool(self._drains.due()) or self._drains.is_expired()
        if is_due and not self._is_under_way(DRAIN_JOB):
            self._jobs.defer(NewJob(DRAIN_JOB))

    def _tell_coverage(self) -> None:
        """How much of each backend was read, and since when all of it."""
        amounts = {found.backend: found.objects + found.copies for found in self._drains.amounts()}
        for found in self._verification.coverage(amounts):
            metrics.VERIFIED_SHARE.labels(found.backend).set(found.share)
            if found.began_at is not None:
                metrics.VERIFIED_SINCE.labels(found.backend).set(found.began_at.timestamp())

    def _scrub(self) -> None:
        days = self._config.verification.every_days
        if days and self._verification.is_due(days) and not self._is_under_way(SCRUB_JOB):
            self._jobs.defer(NewJob(SCRUB_JOB))

    def _copy(self) -> None:
        """Have the copies written that are due, and tell how many wait."""
        if self._replicas.is_due() and not self._is_under_way(COPY_JOB):
            self._jobs.defer(NewJob(COPY_JOB))
        due = {row.backend: row for row in self._replicas.due()}
        self._copied_to |= due.keys()
        for backend in self._copied_to:
            row = due.get(backend)
            metrics.COPIES_DUE.labels(backend).set(row.count if row else 0)
            metrics.COPIES_OLDEST.labels(backend).set(row.seconds if row else 0)

    def _is_under_way(self, job: str) -> bool:
        return any(
            row.name == job and row.state in {"todo", "doing"} for row in self._jobs.counts()
        )

    def _settle(self) -> None:
        """Have the metadata documents made that are due; one job at a time makes all of them."""
        seconds = self._config.web.metadata_settle_seconds
        if not seconds:
            return
        while self._documents.mark():
            pass
        if self._documents.is_due(seconds) and not self._is_under_way(SETTLE_JOB):
            self._jobs.defer(NewJob(SETTLE_JOB))

    def _resume(self) -> None:
        """Requests that were parked because nobody knew where their peer is, which is configured now."""
        solved = [
            line.commitment_id
            for line in self._commitments.open()
            if line.state is CommitmentState.PARKED
            and line.last_error == unknown_peer(line.peer)
            and line.peer in self._config.dimse.destinations
        ]
        if solved:
            self._commitments.retry(solved)
