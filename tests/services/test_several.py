"""Work on many things, several at a time."""

from __future__ import annotations

import threading

import pytest

from vna.errors import Abandoned, Corrupt
from vna.interrupts import Interrupt, interruptible
from vna.services.several import GROUP, GROUP_BYTES, several


@pytest.mark.parametrize("count", [0, 1, 8, 9, 200, 1000])
@pytest.mark.parametrize("at_once", [1, 4])
def test_every_result_in_order(count: int, at_once: int) -> None:
    found = several(lambda number: number * 2, range(count), lambda _: 1000, at_once)
    assert list(found) == [number * 2 for number in range(count)]


def test_several_are_worked_on_at_once() -> None:
    together = threading.Barrier(4, timeout=10)

    def work(number: int) -> int:
        if number % GROUP == 0:
            together.wait()
        return number

    assert list(several(work, range(4 * GROUP), lambda _: 1, 4)) == list(range(4 * GROUP))


def test_large_things_are_not_put_together() -> None:
    running, most, lock = set[int](), list[int](), threading.Lock()

    def work(number: int) -> int:
        with lock:
            running.add(number)
            most.append(len(running))
        with lock:
            running.discard(number)
        return number

    sizes = [GROUP_BYTES] * 20
    assert list(several(work, range(20), lambda number: sizes[number], 2)) == list(range(20))
    assert max(most) <= 2


def test_a_failure_comes_at_its_place() -> None:
    def work(number: int) -> int:
        if number == 50:
            raise Corrupt("fifty")
        return number

    found = several(work, range(100), lambda _: 1)
    with pytest.raises(Corrupt, match="fifty"):
        list(found)


def test_nothing_more_is_begun_for_nobody() -> None:
    interrupt, begun = Interrupt(), list[int]()

    def work(number: int) -> int:
        begun.append(number)
        return number

    with interruptible(interrupt):
        found = several(work, range(10_000), lambda _: 1, 2)
        next(found)
        interrupt.set()
        with pytest.raises(Abandoned):
            list(found)
    assert len(begun) < 10 * GROUP
