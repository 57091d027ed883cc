"""The worker: a process that does the archive's background jobs, small while there are none."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Self

from vna.bootstrap_database import open_database
from vna.caretaker import Caretaker
from vna.config import Config
from vna.config_web import studies_url
from vna.errors import Unavailable, VnaError
from vna.index.campaigns import CampaignIndex
from vna.index.database import Database
from vna.index.job_worker import JobWorker, WorkerSettings
from vna.index.jobs import Payload
from vna.model.commitment import REPORT_JOB
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

_LOOK_FOR_CAMPAIGNS = 1.0


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
            on_round=Caretaker(config, database).look_after,
        )

        def stop(_signal: int, _frame: FrameType | None) -> None:
            if not stopping.is_set():
                stopping.set()
                _limit_drain(jobs.drain_timeout)
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN if PARENT_VARIABLE in os.environ else stop)
        migrating = threading.Thread(
            target=_migrate, args=(database, workshop, stopping), name="migrations", daemon=True
        )
        migrating.start()
        worker.run()
        stopping.set()
        migrating.join(jobs.drain_timeout)
    return 0


def _migrate(database: Database, workshop: _Workshop, stopping: threading.Event) -> None:
    """Work on the campaigns that run; what that needs is loaded with the first of them."""
    campaigns = CampaignIndex(database)
    while not stopping.wait(_LOOK_FOR_CAMPAIGNS):
        try:
            if campaigns.running():
                workshop.migrate(campaigns, stopping)
        except VnaError as exc:
            log.warning("no migrations now: %s", exc)
        except Exception:
            log.exception("the work on migrations failed in an unforeseen way")


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

    def migrate(self, campaigns: CampaignIndex, stopping: threading.Event) -> None:
        """Work on all campaigns that run, until none does. Raises ConfigError, Unavailable."""
        from vna.bootstrap_migration import opener_of, tools_of
        from vna.migration.workers import MigrationWorkers

        archive = self._get_archive()
        workers = MigrationWorkers(campaigns, lambda: tools_of(archive), opener_of(archive))
        workers.run(stopping, until_done=True)

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
