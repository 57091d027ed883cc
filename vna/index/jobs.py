"""Durable background jobs: rows in the same Postgres as everything that they are about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg

from vna.index.database import Connection, Database
from vna.index.sql import load

if TYPE_CHECKING:
    from procrastinate.manager import JobManager

Payload = Mapping[str, int | str]
Handler = Callable[[Payload], None]
"""Does one job. Harmless to repeat: a worker that dies leaves its job to another one.

It may raise RetryLater; after another error the job is tried again with increasing pauses: a few times, or as long
as it takes when the error is transient.
"""


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be done: the name of its handler, small values for it, and in how many seconds at the earliest.

    Jobs are wake-up calls: what is to be done about a thing, and whether, stands in the row of that thing, so that
    one call too many does no harm.
    """

    name: str
    payload: Payload = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs of one name are in a state: todo, doing or failed; those that succeeded are not kept."""

    name: str
    state: str
    count: int


class JobQueue:
    """Where jobs are put. Shared by all threads; the library behind it is loaded when the first job is put."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def defer(self, job: NewJob) -> None:
        """Keep `job` durably. Raises Unavailable, OutOfSpace."""
        self._database.attempt(lambda connection: self.defer_within(connection, job))

    def defer_within(self, connection: Connection, job: NewJob) -> None:
        """As `defer`, as a part of the caller's transaction on `connection`."""
        from procrastinate import exceptions, tasks

        start = datetime.now(UTC) + timedelta(seconds=job.delay) if job.delay > 0 else None
        deferrer = tasks.configure_task(
            name=job.name,
            job_manager=self._manager,
            queue=job.name,
            schedule_at=start,
        )
        payload: dict[str, Any] = dict(job.payload)
        try:
            self._manager.defer_job(deferrer.make_new_job(**payload), connection)
        except exceptions.ConnectorException as exc:
            if isinstance(exc.__cause__, psycopg.Error):
                raise exc.__cause__ from exc
            raise

    def counts(self) -> list[JobCount]:
        """How many jobs there are. Raises Unavailable."""
        rows = self._database.attempt(lambda c: c.execute(load("queries/job_counts")).fetchall())
        return [JobCount(*row) for row in rows]

    @cached_property
    def _manager(self) -> JobManager:
        """The library's face to SQL; it works on the connections that it is given, and opens none."""
        from procrastinate.manager import JobManager
        from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

        return JobManager(SyncPsycopgConnector(json_dumps=json.dumps))
