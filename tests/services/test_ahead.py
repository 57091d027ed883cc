"""Items that are made ahead come in order, end as they would, and leave nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from vna.errors import Unavailable
from vna.interrupts import Interrupt, current_interrupt, interruptible
from vna.services.ahead import DEPTH, ahead


class Source:
    """Counts from 0 to `count`, and then fails with `error`."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.threads: set[int] = set()
        self.made = threading.Semaphore(0)
        self.is_closed = False

    def items(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                self.threads.add(threading.get_ident())
                yield number
                self.made.release()
            if self.error is not None:
                raise self.error
        finally:
            self.is_closed = True


def test_all_come_in_order_from_another_thread() -> None:
    source = Source(5 * DEPTH)
    assert list(ahead(source.items(), print)) == list(range(5 * DEPTH))
    assert threading.get_ident() not in source.threads
    assert source.is_closed


def test_nothing_is_begun_before_the_first_is_wanted() -> None:
    source = Source(3)
    ahead(source.items(), print).close()
    assert not source.threads


def test_an_error_comes_behind_what_was_made_before_it() -> None:
    items = ahead(Source(3, Unavailable("gone")).items(), print)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Unavailable, match="gone"):
        next(items)


def test_so_many_are_made_ahead_and_given_back_at_the_end() -> None:
    source, left = Source(100), list[int]()
    items = ahead(source.items(), left.append)
    assert next(items) == 0
    for _ in range(DEPTH - 1):
        assert source.made.acquire(timeout=60)
    assert not source.made.acquire(blocking=False)
    items.close()
    assert left == list(range(1, DEPTH))
    assert source.is_closed


def test_what_calls_off_the_work_reaches_the_thread() -> None:
    def items() -> Generator[Interrupt | None, None, None]:
        yield current_interrupt()

    interrupt = Interrupt()
    with interruptible(interrupt):
        assert list(ahead(items(), print)) == [interrupt]
