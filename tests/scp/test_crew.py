"""The threads of one association: how many, what waits for what, and that they end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from vna.scp import crew as crew_module
from vna.scp.crew import Crew

DEADLINE = 60
NAME = "crew-under-test"


@dataclass
class Watch:
    """A crew and what was seen of it."""

    crew: Crew
    idle: threading.Event
    order: list[str] = field(default_factory=list)

    def task(self, name: str, gate: threading.Event | None = None) -> None:
        if gate is not None:
            assert gate.wait(DEADLINE)
        self.order.append(name)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(crew_module, "IDLE_SECONDS", 0.01)
    idle = threading.Event()
    watch = Watch(Crew(3, NAME, idle.set), idle)
    yield watch
    watch.crew.wait()
    for thread in threads():
        thread.join(DEADLINE)
    assert threads() == []


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_a_crew_without_work_has_no_threads(watch: Watch) -> None:
    assert not watch.crew.is_busy
    assert threads() == []
    watch.crew.wait()


def test_stores_beyond_the_size_wait_for_room(watch: Watch) -> None:
    gate, handed_out = threading.Event(), threading.Event()

    def hand_out() -> None:
        for number in range(4):
            watch.crew.store(str(number), lambda: watch.task("store", gate))
        handed_out.set()

    handing = threading.Thread(target=hand_out)
    handing.start()
    while len(threads()) < 3:
        handing.join(0.001)
    assert not handed_out.is_set()
    assert watch.crew.is_busy
    gate.set()
    assert handed_out.wait(DEADLINE)
    watch.crew.wait()
    assert watch.order == ["store"] * 4
    assert watch.idle.wait(DEADLINE)


def test_stores_of_one_uid_keep_their_order(watch: Watch) -> None:
    for number in range(50):
        watch.crew.store("1.2.3", partial(watch.task, str(number)))
    watch.crew.wait()
    assert watch.order == [str(number) for number in range(50)]


def test_an_operation_waits_for_the_stores_before_it_and_for_no_later_one(watch: Watch) -> None:
    first, second = threading.Event(), threading.Event()
    done = threading.Event()
    watch.crew.store("1", lambda: watch.task("first", first))

    def find() -> None:
        watch.task("find")
        done.set()

    assert watch.crew.operate(find)
    watch.crew.store("2", lambda: watch.task("second", second))
    assert watch.order == []
    first.set()
    assert done.wait(DEADLINE)
    second.set()
    watch.crew.wait()
    assert watch.order == ["first", "find", "second"]


def test_operations_beyond_the_size_are_not_taken(watch: Watch) -> None:
    gate = threading.Event()
    taken = [watch.crew.operate(lambda: watch.task("find", gate)) for _ in range(5)]
    assert taken == [True] * 3 + [False] * 2
    watch.crew.store("1", lambda: watch.task("store"))  # has room of its own
    gate.set()
    watch.crew.wait()
    assert watch.order.count("find") == 3
    assert watch.crew.operate(lambda: None)


def test_a_thread_without_work_ends_and_a_new_one_takes_the_next(watch: Watch) -> None:
    for _ in range(5):
        watch.crew.store("1", lambda: watch.task("store"))
        watch.crew.wait()
        for thread in threads():
            thread.join(DEADLINE)
        assert threads() == []
    assert watch.order == ["store"] * 5


def test_threads_that_come_and_go_lose_no_task(watch: Watch) -> None:
    for number in range(500):
        watch.crew.store(str(number), lambda: watch.task("store"))
    watch.crew.wait()
    assert len(watch.order) == 500


def test_a_task_that_fails_gives_its_room_back(watch: Watch) -> None:
    hook, failures = threading.excepthook, list[object]()
    threading.excepthook = lambda args: failures.append(args.exc_value)
    try:

        def fail() -> None:
            raise RuntimeError("a fault of ours")

        for number in range(6):
            watch.crew.store(str(number), fail)
            assert watch.crew.operate(fail)
            watch.crew.wait()
        for thread in threads():
            thread.join(DEADLINE)
    finally:
        threading.excepthook = hook
    assert len(failures) == 12


def test_stores_can_be_waited_for_while_other_operations_go_on(watch: Watch) -> None:
    store, find = threading.Event(), threading.Event()
    assert watch.crew.operate(partial(watch.task, "find", find))
    watch.crew.store("1", partial(watch.task, "store", store))
    store.set()
    watch.crew.wait_for_stores()
    assert watch.order == ["store"]
    find.set()


def test_without_a_thread_to_be_had_a_task_runs_at_once(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        watch.crew.store("1", partial(watch.task, "store"))
        assert watch.crew.operate(partial(watch.task, "find"))
        assert watch.order == ["store", "find"]
        assert not watch.crew.is_busy
    watch.crew.store("1", partial(watch.task, "later"))
    watch.crew.wait()
    assert watch.order[-1] == "later"


def test_threads_end_with_their_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "IDLE_SECONDS", 24 * 3600.0)
    for tasks in (0, 1, 3, 40):
        crew, done = Crew(3, NAME, lambda: None), list[int]()
        for number in range(tasks):
            crew.store(str(number), partial(done.append, number))
        crew.close()
        assert sorted(done) == list(range(tasks))
        for thread in threads():
            thread.join(DEADLINE)
        assert threads() == []
