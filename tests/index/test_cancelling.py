"""A query for nobody is cancelled, and its connection serves the next one."""

from __future__ import annotations

import threading
import time

import pytest

from tests.index.samples import ORIGIN
from vna.audit import AuditAction, AuditEvent
from vna.errors import Abandoned
from vna.index.audit import PostgresAuditLog
from vna.index.database import Database
from vna.interrupts import Interrupt, interruptible


def test_a_running_query_ends_when_its_work_is_called_off(database: Database) -> None:
    interrupt, is_running = Interrupt(), threading.Event()

    def call_off() -> None:
        is_running.wait(10)
        interrupt.set()

    setter = threading.Thread(target=call_off)
    setter.start()
    started = time.monotonic()
    with interruptible(interrupt), pytest.raises(Abandoned), database.connection() as connection:
        connection.execute("SELECT 1")
        is_running.set()
        connection.execute("SELECT pg_sleep(60)")
    setter.join(10)
    assert time.monotonic() - started < 30
    for _ in range(20):  # every connection of the pool is sound
        database.ping()


def test_no_query_begins_for_nobody(database: Database) -> None:
    interrupt = Interrupt()
    interrupt.set()
    with interruptible(interrupt), pytest.raises(Abandoned):
        database.ping()
    database.ping()


def test_a_cancelled_query_is_not_repeated(database: Database) -> None:
    interrupt, attempts = Interrupt(), list[int]()

    def work(connection: object) -> None:
        attempts.append(1)
        threading.Timer(0.1, interrupt.set).start()
        connection.execute("SELECT pg_sleep(60)")  # type: ignore[attr-defined]

    with interruptible(interrupt), pytest.raises(Abandoned):
        database.attempt(work)
    assert attempts == [1]


def test_what_was_delivered_is_audited_although_the_client_has_gone(database: Database) -> None:
    interrupt = Interrupt()
    interrupt.set()
    event = AuditEvent(AuditAction.INSTANCES_RETRIEVED, ORIGIN, study_instance_uid="1.2")
    with interruptible(interrupt):
        PostgresAuditLog(database).record(event)
    with database.connection() as connection:
        row = connection.execute("SELECT action FROM audit").fetchone()
    assert row == ("instances.retrieved",)
