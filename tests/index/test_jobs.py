"""Durable jobs: put within a transaction, done once, retried, taken over from the dead."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection

import psycopg
import pytest
from procrastinate.worker import Worker

from vna.errors import RetryLater, Unavailable
from vna.index import job_worker
from vna.index.database import Database
from vna.index.job_worker import MAX_ATTEMPTS, JobWorker, WorkerSettings
from vna.index.jobs import Handler, JobCount, JobQueue, NewJob, Payload

PATIENCE = 60.0
QUICK = WorkerSettings(threads=2, stalled_after=1.5, drain=5.0)


@contextmanager
def working(
    database: Database, handlers: Mapping[str, Handler], on_round: Callable[[], None] = lambda: None
) -> Iterator[JobWorker]:
    """A worker in a thread, stopped at the end of the block."""
    worker = JobWorker(database, handlers, QUICK, on_round)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        assert worker.is_working.wait(PATIENCE)
        yield worker
    finally:
        worker.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Bell:
    """A handler that remembers its payloads and lets a test wait for so many calls."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []
        self._rung = threading.Semaphore(0)

    def __call__(self, payload: Payload) -> None:
        self.payloads.append(dict(payload))
        self._rung.release()

    def try_once(self) -> None:
        self._rung.acquire(timeout=5)

    def wait(self, calls: int = 1) -> None:
        for _ in range(calls):
            assert self._rung.acquire(timeout=PATIENCE)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """What the library leaves of lost connections is collected here, not inside another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without pauses."""
    monkeypatch.setattr(job_worker, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(job_worker, "_POLL", 0.05)


def test_a_job_is_done_once_and_gone(database: Database) -> None:
    queue, bell = JobQueue(database), Bell()
    queue.defer(NewJob("ring", {"number": 7, "name": "seven"}))
    with working(database, {"ring": bell}):
        bell.wait()
        queue.defer(NewJob("ring", {"number": 8, "name": "eight"}))
        bell.wait()
    assert bell.payloads == [
        {"number": 7, "name": "seven"},
        {"number": 8, "name": "eight"},
    ]
    assert queue.counts() == []


def test_a_job_belongs_to_its_callers_transaction(database: Database) -> None:
    queue = JobQueue(database)
    with database.connection() as connection:
        with pytest.raises(ZeroDivisionError), connection.transaction():
            queue.defer_within(connection, NewJob("ring"))
            _ = 1 / 0
        assert queue.counts() == []
        with connection.transaction():
            queue.defer_within(connection, NewJob("ring"))
    assert queue.counts() == [JobCount("ring", "todo", 1)]


def test_a_later_job_waits(database: Database, at_once: None) -> None:
    queue, now, later = JobQueue(database), Bell(), Bell()
    queue.defer(NewJob("later", delay=3600))
    with working(database, {"now": now, "later": later}):
        queue.defer(NewJob("now"))
        now.wait()
    assert later.payloads == []
    assert queue.counts() == [JobCount("later", "todo", 1)]


def test_a_poison_job_is_parked_and_the_rest_goes_on(database: Database, at_once: None) -> None:
    queue, bell, tries = JobQueue(database), Bell(), Bell()

    def poison(payload: Payload) -> None:
        tries(payload)
        raise ValueError("poison")

    queue.defer(NewJob("poison"))
    with working(database, {"poison": poison, "ring": bell}):
        queue.defer(NewJob("ring"))
        bell.wait()
        tries.wait(MAX_ATTEMPTS)
        queue.defer(NewJob("ring"))
        bell.wait()
    assert len(tries.payloads) == MAX_ATTEMPTS
    assert queue.counts() == [JobCount("poison", "failed", 1)]


def test_what_is_transient_is_tried_without_end(database: Database, at_once: None) -> None:
    queue, bell = JobQueue(database), Bell()

    def stubborn(payload: Payload) -> None:
        bell(payload)
        if len(bell.payloads) <= MAX_ATTEMPTS:
            raise Unavailable("not now")
        if len(bell.payloads) <= MAX_ATTEMPTS + 3:
            raise RetryLater(0.0)

    queue.defer(NewJob("stubborn"))
    with working(database, {"stubborn": stubborn}):
        bell.wait(MAX_ATTEMPTS + 4)
    assert queue.counts() == []


def test_jobs_of_another_version_are_left_to_it(database: Database, at_once: None) -> None:
    queue, bell = JobQueue(database), Bell()
    queue.defer(NewJob("unheard-of"))
    with working(database, {"ring": bell}):
        queue.defer(NewJob("ring"))
        bell.wait()
    assert queue.counts() == [JobCount("unheard-of", "todo", 1)]


def test_two_workers_share_the_jobs(database: Database) -> None:
    queue, bell = JobQueue(database), Bell()
    for number in range(40):
        queue.defer(NewJob("ring", {"number": number}))
    with working(database, {"ring": bell}), working(database, {"ring": bell}):
        bell.wait(40)
    assert sorted(int(payload["number"]) for payload in bell.payloads) == list(range(40))


def work_and_hang(url: str, pipe: Connection) -> None:
    """In another process: take a job, say so, and never finish."""

    def hang(_: Payload) -> None:
        pipe.send("taken")
        threading.Event().wait()

    with Database(url, pool_size=2) as database:
        JobWorker(database, {"ring": hang}, QUICK).run()


def test_jobs_of_a_killed_worker_are_taken_over(
    database: Database, database_url: str, at_once: None
) -> None:
    queue, bell = JobQueue(database), Bell()
    queue.defer(NewJob("ring"))
    ours, theirs = multiprocessing.Pipe()
    victim = multiprocessing.get_context("spawn").Process(
        target=work_and_hang, args=(database_url, theirs)
    )
    victim.start()
    assert ours.poll(PATIENCE)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    with working(database, {"ring": bell}):
        bell.wait()
    assert queue.counts() == []


def cut_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # lost connections are left to the collector
def test_a_worker_survives_the_loss_of_every_connection(
    database: Database, database_url: str, at_once: None
) -> None:
    queue, bell = JobQueue(database), Bell()
    with working(database, {"ring": bell}):
        for number in range(3):
            queue.defer(NewJob("ring", {"number": number}))
            bell.wait()
            cut_connections(database_url)
        queue.defer(NewJob("ring", {"number": 3}))
        while {"number": 3} not in bell.payloads:  # one that was cut off may be done again first
            bell.wait()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_worker_that_does_not_notice_the_loss_begins_anew(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives: list[int] = []
    run, is_stuck = Worker.run, threading.Event()

    async def stuck_at_first(worker: Worker) -> None:
        lives.append(id(worker))
        if len(lives) == 1:
            is_stuck.set()
            await asyncio.Event().wait()
        await run(worker)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Worker, "run", stuck_at_first)
    queue, bell = JobQueue(database), Bell()
    worker = JobWorker(database, {"ring": bell}, WorkerSettings(drain=0.1))
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert is_stuck.wait(PATIENCE)
    while not bell.payloads:
        cut_connections(database_url)  # until the watcher has had its connection, too
        queue.defer(NewJob("ring"))
        bell.try_once()
    worker.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert len(lives) >= 2


def test_a_stopped_worker_finishes_what_it_does(database: Database) -> None:
    queue, begun, go_on = JobQueue(database), threading.Event(), threading.Event()
    done: list[int] = []

    def slow(_: Payload) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)
        done.append(1)

    queue.defer(NewJob("slow"))
    with working(database, {"slow": slow}) as worker:
        assert begun.wait(PATIENCE)
        worker.stop()
        go_on.set()
    assert done == [1]
    assert queue.counts() == []


def test_a_worker_that_never_ran_can_be_stopped(database: Database) -> None:
    worker = JobWorker(database, {"ring": Bell()}, QUICK)
    worker.stop()
    worker.run()


def test_rounds_are_called_and_a_failing_one_comes_again(database: Database) -> None:
    rounds = threading.Semaphore(0)

    def look_after() -> None:
        rounds.release()
        raise Unavailable("not this time")

    with working(database, {"ring": Bell()}, look_after):
        assert rounds.acquire(timeout=PATIENCE)
        assert rounds.acquire(timeout=PATIENCE)
