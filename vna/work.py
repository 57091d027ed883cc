"""The worker: a process that does the archive's background jobs, small while there are none."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Self

from vna import metrics
from vna.bootstrap_database import open_database
from vna.config import Config
from vna.config_web import studies_url
from vna.errors import Unavailable
from vna.index.changes import ChangeIndex
from vna.index.commitments import CommitmentIndex
from vna.index.database import Database
from vna.index.draining import DrainIndex
from vna.index.job_worker import JobWorker, WorkerSettings
from vna.index.jobs import JobQueue, NewJob, Payload
from vna.index.metadata_documents import MetadataDocumentIndex
from vna.index.partitioning import tell_planner
from vna.index.post_upgrades import Rewriting
from vna.index.replicas import ReplicaIndex
from vna.index.trash import TrashIndex
from vna.index.verification import VerificationIndex
from vna.model.commitment import REPORT_JOB, CommitmentState, unknown_peer
from vna.model.draining import DRAIN_JOB
from vna.model.identifiers import Origin
from vna.model.replicas import COPY_JOB
from vna.model.series import SETTLE_JOB
from vna.model.trash import SWEEP_JOB
from vna.model.verification import SCRUB_JOB
from vna.parent import PARENT_VARIABLE, die_with_parent

if TYPE_CHECKING:
    from vna.bootstrap import Archive
    from vna.scp.exchange import Door

log = logging.getLogger(__name__)

_TIDY_EVERY = 3600.0
_REWRITE_SECONDS = 1.0
"""Of each round, while there is something from before an upgrade to rewrite."""


def run_worker(config: Config) -> int:
    """Do jobs until SIGTERM or SIGINT; returns the exit code. Raises ConfigError, Unavailable."""
    die_with_parent()
    stopping = threading.Event()
    with open_database(config) as database, _Workshop(config, database) as workshop:
        if PARENT_VARIABLE not in os.environ:  # a parent has brought the schema up to date
            _upgrade(database, config.database.partitions)
        jobs = config.jobs
        worker = JobWorker(
            database,
            {
                REPORT_JOB: lambda payload: workshop.report_commitment(payload, stopping.is_set),
                SWEEP_JOB: lambda _: workshop.sweep_trash(stopping.is_set),
                SCRUB_JOB: lambda _: workshop.scrub(stopping.is_set),
                DRAIN_JOB: lambda _: workshop.drain(stopping.is_set),
                COPY_JOB: lambda _: workshop.copy_objects(stopping.is_set),
                SETTLE_JOB: lambda _: workshop.make_documents(stopping.is_set),
            },
            WorkerSettings(jobs.threads, jobs.stalled_after, jobs.drain_timeout),
            on_round=_Caretaker(config, database).look_after,
        )

        def stop(_signal: int, _frame: FrameType | None) -> None:
            if not stopping.is_set():
                stopping.set()
                _limit_drain(jobs.drain_timeout)
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN if PARENT_VARIABLE in os.environ else stop)
        worker.run()
    return 0


def _limit_drain(seconds: float) -> None:
    """End the process when jobs take longer to finish: they are harmless to cut off, others go on with them."""

    def cut_off() -> None:
        log.warning("jobs did not end within jobs.drain_timeout; they are left to other workers")
        os._exit(0)

    timer = threading.Timer(seconds, cut_off)
    timer.daemon = True
    timer.start()


def _upgrade(database: Database, partitions: int) -> None:
    from vna.index.upgrade import upgrade

    upgrade(database, partitions)


class _Workshop:
    """What jobs need of the archive, built when the first of them comes."""

    def __init__(self, config: Config, database: Database) -> None:
        self._config = replace(config, database=replace(config.database, url=database.url))
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._archive: Archive | None = None
        self._door: Door | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def report_commitment(self, payload: Payload, should_stop: Callable[[], bool]) -> None:
        """Check and report a storage commitment."""
        from vna.scp.commitment_reports import report_job

        report_job(self._get_door(), should_stop)(payload)

    def sweep_trash(self, should_stop: Callable[[], bool]) -> None:
        """Remove what has been in the trash for long enough. Raises Unavailable when some of it has to stay."""
        origin = Origin("worker", correlation_id=secrets.token_hex(8))
        swept = self._get_archive().trash.sweep(origin, should_stop=should_stop)
        if swept.failed:
            raise Unavailable(f"{swept.failed} objects of the trash can't be removed now")

    def scrub(self, should_stop: Callable[[], bool]) -> None:
        """Go on with the comparison of everything that is stored with the index. Raises Unavailable."""
        from vna.services.verification import HowToVerify

        how = HowToVerify(
            Origin("worker", correlation_id=secrets.token_hex(8)),
            is_scheduled=True,
            rate=self._config.verification.rate,
            threads=1,
        )
        self._get_archive().verification.everything(how, should_stop=should_stop)

    def copy_objects(self, should_stop: Callable[[], bool]) -> None:
        """Write the copies that are due, and what is to be healed. Raises Unavailable."""
        origin = Origin("worker", correlation_id=secrets.token_hex(8))
        self._get_archive().replication.work(origin, should_stop)

    def drain(self, should_stop: Callable[[], bool]) -> None:
        """Go on with what is being drained, and remove moved objects whose time has passed. Raises Unavailable."""
        from vna.services.draining import work_on_all

        archive = self._get_archive()
        archive.draining.remove_moved(should_stop)
        work_on_all(
            archive.draining, Origin("worker", correlation_id=secrets.token_hex(8)), should_stop
        )

    def make_documents(self, should_stop: Callable[[], bool]) -> None:
        """Make the metadata documents of series that have come to rest. Raises Unavailable."""
        from vna.services.settling import SettlingService

        archive, web = self._get_archive(), self._config.web
        settling = SettlingService(archive.index.documents, archive.metadata, studies_url(web))
        settling.work(web.metadata_settle_seconds, should_stop)

    def _get_door(self) -> Door:
        archive = self._get_archive()
        with self._lock:
            if self._door is None:
                from vna.scp.serve import door_of

                self._door = door_of(archive, self._config)
            return self._door

    def _get_archive(self) -> Archive:
        with self._lock:
            if self._archive is None:
                from vna.bootstrap import build

                self._archive = self._open.enter_context(build(self._config))
            return self._archive


class _Caretaker:
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
