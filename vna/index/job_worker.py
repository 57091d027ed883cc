"""Does jobs until it is told to stop, whatever becomes of the database or of other workers meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector, RetryDecision, exceptions
from procrastinate.jobs import Job, Status
from procrastinate.retry import BaseRetryStrategy
from procrastinate.worker import Worker

from vna import metrics
from vna.errors import RetryLater, VnaError
from vna.index.database import NETWORK, Database
from vna.index.jobs import Handler, JobQueue

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 10
"""After so many unexpected errors (or deaths of its worker) a job counts as failed and stays for a person."""

_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 3600.0
_POLL = 2.0
_PAUSE_WITHOUT_DATABASE = 1.0
_LAST_PATIENCE = 10.0
_STATES = ("todo", "doing", "failed")
_LOST = (exceptions.ConnectorException, psycopg.Error, OSError)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """`threads` jobs at once; a worker silent for `stalled_after` seconds is dead; `drain` seconds to finish jobs."""

    threads: int = 4
    stalled_after: float = 30.0
    drain: float = 30.0


class JobWorker:
    """Takes jobs of the names it has handlers for, each in a thread. `run` is called once; `stop` from anywhere.

    `on_round`: called in a thread every third of `stalled_after`, for what has to be looked after from time to time.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        settings: WorkerSettings | None = None,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._settings = settings or WorkerSettings()
        self._handlers = dict(handlers)
        self._on_round = on_round
        self._stopping = threading.Event()
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._counted: set[tuple[str, str]] = set()
        self.is_working = threading.Event()

    def run(self) -> None:
        """Work until `stop` is called, then finish what is being done; what takes longer is left to others."""
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)  # what matters is logged here
        asyncio.run(self._run())

    def stop(self) -> None:
        """Take no more jobs; safe in a signal handler, idempotent."""
        self._stopping.set()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._stop_now)

    def _stop_now(self) -> None:
        self._wake.set()
        self._stop_worker()

    def _stop_worker(self) -> None:
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            try:
                await self._live()
            except _LOST as exc:
                log.warning("no jobs are done while the database does not answer: %s", _reason(exc))
            finally:
                self._worker = None
                self.is_working.clear()
            if not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _PAUSE_WITHOUT_DATABASE)

    async def _live(self) -> None:
        """Work as long as the connection of a watcher holds: the library may miss that its own were lost."""
        life = asyncio.create_task(self._work())
        watcher = asyncio.create_task(_lose_connection(self._database.url))
        try:
            await asyncio.wait({life, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if not life.done():
                self._stop_worker()
                await asyncio.wait({life}, timeout=self._settings.drain)
            if not life.done():
                log.warning("the worker does not end by itself and begins anew")
                life.cancel()
                await asyncio.wait({life}, timeout=_LAST_PATIENCE)
            if not life.done():
                log.error("the worker does not end at all; its process does, and is started again")
                os._exit(1)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            life.result()

    async def _work(self) -> None:
        """One life with the database: ends when it is lost, or when told to stop."""
        app = self._app()
        async with app.open_async():
            self._worker = worker = Worker(
                app,
                queues=sorted(self._handlers),
                concurrency=self._settings.threads,
                fetch_job_polling_interval=_POLL,
                shutdown_graceful_timeout=self._settings.drain,
                delete_jobs="successful",
                install_signal_handlers=False,
                update_heartbeat_interval=self._settings.stalled_after / 3,
                stalled_worker_timeout=self._settings.stalled_after,
            )
            if self._stopping.is_set():
                return
            rounds = asyncio.create_task(self._rounds(app))
            rounds.add_done_callback(lambda _: worker.stop())  # type: ignore[no-untyped-call]
            self.is_working.set()
            log.info("waiting for jobs", extra={"jobs": ", ".join(sorted(self._handlers))})
            try:
                await worker.run()  # type: ignore[no-untyped-call]
            finally:
                rounds.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await rounds

    def _app(self) -> App:
        pool: dict[str, Any] = {
            "conninfo": self._database.url,
            "kwargs": {**NETWORK, "application_name": "vna-jobs", "connect_timeout": 10},
            "min_size": 1,
            "max_size": 3,
            "timeout": 10.0,
            "num_workers": 1,
        }
        app = App(connector=PsycopgConnector(**pool))
        for name, handler in self._handlers.items():
            app.task(name=name, queue=name, retry=_Patience())(_counted(name, handler))
        return app

    async def _rounds(self, app: App) -> None:
        """Take over the jobs of dead workers, count, look after what the caller has to look after."""
        while True:
            await _take_over(app, self._settings.stalled_after)
            await asyncio.to_thread(self._look_after)
            await asyncio.sleep(self._settings.stalled_after / 3)

    def _look_after(self) -> None:
        try:
            self._publish_counts()
            self._on_round()
        except VnaError as exc:
            log.warning("a round of the worker failed and comes again: %s", exc)

    def _publish_counts(self) -> None:
        found = {(row.name, row.state): row.count for row in JobQueue(self._database).counts()}
        self._counted.update(found, ((name, state) for name in self._handlers for state in _STATES))
        for labels in self._counted:
            metrics.JOBS.labels(*labels).set(found.get(labels, 0))


async def _lose_connection(url: str) -> None:
    """Return when a connection to the database is lost, or can't be had."""
    parameters: dict[str, Any] = {**NETWORK, "application_name": "vna-jobs-watch"}
    with contextlib.suppress(psycopg.Error):
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, connect_timeout=10, **parameters
        )
        async with connection:
            async for _ in connection.notifies():
                pass


class _Patience(BaseRetryStrategy):
    """When a job is tried again."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, RetryLater):
            pause = exception.seconds
        elif not (isinstance(exception, VnaError) and exception.transient):
            if job.attempts + 1 >= MAX_ATTEMPTS:
                return None
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**job.attempts)
        else:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(job.attempts, 10))
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=pause))


async def _take_over(app: App, stalled_after: float) -> None:
    """Give the jobs of workers that died back to the living; one that kills its worker again and again is parked."""
    manager = app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after):
        log.warning(
            "a worker died over a job, which is taken over",
            extra={"job": job.task_name, "job_id": job.id, "attempts": job.attempts + 1},
        )
        with contextlib.suppress(exceptions.ConnectorException):  # another worker was faster
            if job.attempts + 1 >= MAX_ATTEMPTS:
                await manager.finish_job(job, Status.FAILED, delete_job=False)
            else:
                await manager.retry_job(job)


def _counted(name: str, handler: Handler) -> Callable[..., None]:
    """`handler` with its outcome logged and counted."""

    def run(**payload: int | str) -> None:
        started = time.perf_counter()
        with _outcome_of(name, payload):
            handler(payload)
        metrics.JOB_SECONDS.labels(name).observe(time.perf_counter() - started)

    return run


@contextlib.contextmanager
def _outcome_of(name: str, payload: Mapping[str, int | str]) -> Iterator[None]:
    try:
        yield
    except RetryLater:
        metrics.JOBS_DONE.labels(name, "postponed").inc()
        raise
    except Exception as exc:
        metrics.JOBS_DONE.labels(name, "error").inc()
        if isinstance(exc, VnaError):
            log.warning("job %s failed: %s", name, exc, extra={"payload": dict(payload)})
        else:
            log.exception("job %s failed", name, extra={"payload": dict(payload)})
        raise
    metrics.JOBS_DONE.labels(name, "done").inc()


def _reason(exc: BaseException) -> str:
    cause = exc.__cause__ or exc
    return str(cause).strip() or type(cause).__name__
