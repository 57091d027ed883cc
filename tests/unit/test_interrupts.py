"""Calling work off from another thread."""

from __future__ import annotations

import threading

import pytest

from vna.errors import Abandoned
from vna.interrupts import Interrupt, check_interrupt, current_interrupt, interruptible


def test_nothing_stops_work_without_an_interrupt() -> None:
    assert current_interrupt() is None
    check_interrupt()


def test_work_is_stopped_at_its_next_check() -> None:
    interrupt = Interrupt()
    with interruptible(interrupt):
        assert current_interrupt() is interrupt
        check_interrupt()
        interrupt.set()
        with pytest.raises(Abandoned):
            check_interrupt()
        with interruptible(None):  # what has to be noted down
            check_interrupt()
    check_interrupt()


def test_actions_run_once_and_only_while_they_are_wanted() -> None:
    interrupt, ran = Interrupt(), list[str]()
    with interrupt.during(lambda: ran.append("over")):
        pass
    with interrupt.during(lambda: ran.append("now")):
        interrupt.set()
        interrupt.set()
    assert ran == ["now"]
    with pytest.raises(Abandoned), interrupt.during(lambda: ran.append("late")):
        pytest.fail("work was begun for nobody")
    assert ran == ["now"]


def test_work_ends_only_after_the_action_that_ends_it() -> None:
    interrupt, is_acting, may_end = Interrupt(), threading.Event(), threading.Event()
    order: list[str] = []

    def act() -> None:
        is_acting.set()
        may_end.wait(10)
        order.append("action")

    setter = threading.Thread(target=interrupt.set)
    with interrupt.during(act):
        setter.start()
        assert is_acting.wait(10)
        threading.Timer(0.05, may_end.set).start()
    order.append("work")
    setter.join(10)
    assert order == ["action", "work"]


def test_each_thread_has_its_own() -> None:
    seen: list[Interrupt | None] = []
    with interruptible(Interrupt()):
        thread = threading.Thread(target=lambda: seen.append(current_interrupt()))
        thread.start()
        thread.join(10)
    assert seen == [None]
