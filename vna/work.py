"""The worker: a process that does the archive's background jobs, small while there are none."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Self

from vna.bootstrap_database import open_database
from vna.config import Config
from vna.index.commitments import CommitmentIndex
from vna.index.database import Database
from vna.index.job_worker import JobWorker, WorkerSettings
from vna.index.jobs import JobQueue, Payload
from vna.model.commitment import REPORT_JOB, CommitmentState, unknown_peer
from vna.parent import PARENT_VARIABLE, die_with_parent

if TYPE_CHECKING:
    from vna.scp.exchange import Door

log = logging.getLogger(__name__)

_TIDY_EVERY = 3600.0


def run_worker(config: Config) -> int:
    """Do jobs until SIGTERM or SIGINT; returns the exit code. Raises ConfigError, Unavailable."""
    die_with_parent()
    stopping = threading.Event()
    with open_database(config) as database, _Workshop(config, database) as workshop:
        if PARENT_VARIABLE not in os.environ:  # a parent has brought the schema up to date
            _upgrade(database)
        commitments = CommitmentIndex(database, JobQueue(database))
        jobs = config.jobs
        worker = JobWorker(
            database,
            {REPORT_JOB: lambda payload: workshop.report_commitment(payload, stopping.is_set)},
            WorkerSettings(jobs.threads, jobs.stalled_after, jobs.drain_timeout),
            on_round=_Caretaker(config, commitments).look_after,
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


def _upgrade(database: Database) -> None:
    from vna.index.upgrade import upgrade

    upgrade(database)


class _Workshop:
    """What jobs need of the archive, built when the first of them comes."""

    def __init__(self, config: Config, database: Database) -> None:
        self._config = replace(config, database=replace(config.database, url=database.url))
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._door: Door | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def report_commitment(self, payload: Payload, should_stop: Callable[[], bool]) -> None:
        """Check and report a storage commitment."""
        from vna.scp.commitment_reports import report_job

        report_job(self._get_door(), should_stop)(payload)

    def _get_door(self) -> Door:
        with self._lock:
            if self._door is None:
                from vna.bootstrap import build
                from vna.scp.serve import door_of

                archive = self._open.enter_context(build(self._config))
                self._door = door_of(archive, self._config)
            return self._door


class _Caretaker:
    """What has to be looked after from time to time."""

    def __init__(self, config: Config, commitments: CommitmentIndex) -> None:
        self._config = config
        self._commitments = commitments
        self._tidied: float | None = None

    def look_after(self) -> None:
        """Called every few seconds. Raises Unavailable."""
        now = time.monotonic()
        if self._tidied is not None and now - self._tidied < _TIDY_EVERY:
            return
        self._resume()
        self._commitments.forget(self._config.commitment.keep_days)
        self._tidied = now

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
