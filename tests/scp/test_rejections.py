"""The audit trail of rejections: complete while they are few, and never full."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from vna.audit import AuditEvent
from vna.errors import Unavailable
from vna.model.identifiers import Origin
from vna.scp.rejections import RejectionJournal

LONG = 3600.0


class Trail:
    """An audit log in memory that can be held up, or be away."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_away = False

    def record(self, event: AuditEvent) -> None:
        """Keep it, as soon as that is allowed."""
        assert self.may_write.wait(60)
        if self.is_away:
            raise Unavailable("no database")
        self.events.append(event)

    def numbers(self) -> Counter[str]:
        """How many rejections the rows tell of, by address."""
        counts: Counter[str] = Counter()
        for event in self.events:
            counts[event.origin.address] += int(event.detail.get("count", 1))
        return counts


def knock(journal: RejectionJournal, address: str, times: int) -> None:
    for _ in range(times):
        journal.record(Origin("dimse", "STRANGER", address), "unknown")


def test_few_rejections_are_all_written() -> None:
    trail = Trail()
    journal = RejectionJournal(trail)
    knock(journal, "10.0.0.1", 3)
    assert journal.flush(60)
    assert [event.detail for event in trail.events] == [{"reason": "unknown"}] * 3
    assert {event.origin.peer for event in trail.events} == {"STRANGER"}
    journal.close(60)


def test_many_of_one_address_become_a_number() -> None:
    trail = Trail()
    journal = RejectionJournal(trail, rows_per_address=3, window=LONG)
    knock(journal, "10.0.0.1", 1000)
    knock(journal, "10.0.0.2", 1)
    journal.close(60)
    assert len(trail.events) == 5
    assert trail.numbers() == {"10.0.0.1": 1000, "10.0.0.2": 1}
    assert trail.events[-1].detail["count"] == 997


def test_many_addresses_become_few_rows() -> None:
    trail = Trail()
    journal = RejectionJournal(trail, rows_in_all=20, window=LONG)
    for number in range(3000):
        knock(journal, f"10.0.{number // 256}.{number % 256}", 1)
    journal.close(60)
    assert len(trail.events) <= 41
    assert trail.numbers().total() == 3000


def test_numbers_are_written_when_the_minute_is_over() -> None:
    trail = Trail()
    journal = RejectionJournal(trail, rows_per_address=1, window=0.01)
    knock(journal, "10.0.0.1", 1)
    total = 1
    while not any("count" in event.detail for event in trail.events):  # the writer wakes itself
        knock(journal, "10.0.0.1", 1)
        total += 1
        assert total < 10_000_000
    journal.close(60)
    assert trail.numbers() == {"10.0.0.1": total}


def test_nobody_waits_for_the_database() -> None:
    trail = Trail()
    trail.may_write.clear()
    journal = RejectionJournal(trail, rows_per_address=50)
    knock(journal, "10.0.0.1", 50)
    assert not journal.flush(0.01)
    trail.may_write.set()
    assert journal.flush(60)
    assert len(trail.events) == 50
    journal.close(60)


def test_a_database_that_is_away_costs_a_line(caplog: pytest.LogCaptureFixture) -> None:
    trail = Trail()
    trail.is_away = True
    journal = RejectionJournal(trail)
    knock(journal, "10.0.0.1", 1)
    assert journal.flush(60)
    assert "rejection not audited: no database" in caplog.text
    trail.is_away = False
    knock(journal, "10.0.0.1", 1)
    journal.close(60)
    assert len(trail.events) == 1


def test_closing_with_nothing_to_write_starts_nothing() -> None:
    journal = RejectionJournal(Trail())
    journal.close(60)
    assert not any(thread.name == "rejections" for thread in threading.enumerate())
