"""One peer's failure loses nothing of the others; turns, fills and the time limit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest

from tests.benchmarks.comparison import Comparison, Work
from tests.benchmarks.peer_rows import tasks
from tests.benchmarks.peer_run import Run
from tests.benchmarks.peer_tasks import FILLS, SHORT, WHOLE, Size, Task
from tests.benchmarks.peers import chosen_tasks
from tests.peers.peer import Peer

WORK = Work("work", "work", "/s", 1.0)
SIZE = Size(rounds=3, ct=1, small=1, large=(1, 1, 1), studies=8, repeats=1)


def peer(name: str) -> Peer:
    return Peer(name, "1", name.upper(), 1, list)


def run(deadline: float = math.inf) -> Run:
    return Run([peer("a"), peer("b"), peer("c")], SIZE, deadline, lambda _text: None)


def only(rows: Iterator[Comparison]) -> Comparison:
    (row,) = rows
    return row


def test_every_peer_gets_every_round_and_another_one_begins_each_time() -> None:
    turns: list[str] = []

    def measure(who: Peer, _size: Size) -> tuple[float, ...]:
        turns.append(who.name)
        return (float(len(turns)),)

    row = only(run().rows([Task("work", (WORK,), measure, warms_up=False)]))
    assert turns == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert row.figures == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_what_warms_up_is_not_counted() -> None:
    sizes: list[int] = []

    def measure(_who: Peer, size: Size) -> tuple[float, ...]:
        sizes.append(size.ct)
        return (float(size.ct),)

    row = only(run().rows([Task("work", (WORK,), measure)]))
    assert sizes[:3] == [SIZE.warming().ct] * 3
    assert row.figures == {name: [1, 1, 1] for name in "abc"}


def test_a_peer_that_fails_leaves_the_others_their_figures() -> None:
    def measure(who: Peer, _size: Size) -> tuple[float, ...]:
        if who.name == "b":
            raise ConnectionError("it is gone")
        return (1.0,)

    row = only(run().rows([Task("work", (WORK,), measure, warms_up=False)]))
    assert row.figures == {"a": [1, 1, 1], "b": [], "c": [1, 1, 1]}
    assert row.failures == {"b": "ConnectionError: it is gone"}


def test_a_fill_runs_once_and_its_failure_is_that_of_all_who_need_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled: list[str] = []

    def fill(who: Peer, _size: Size) -> Iterator[int]:
        filled.append(who.name)
        if who.name == "c":
            raise RuntimeError("full")
        yield 8

    monkeypatch.setitem(FILLS, "studies", fill)
    task = Task("work", (WORK,), lambda _who, _size: (1.0,), needs="studies", warms_up=False)
    rows = list(run().rows([task, task]))
    assert filled == ["a", "b", "c"]
    assert [row.failures for row in rows] == [{"c": "RuntimeError: full"}] * 2
    assert [row.figures["a"] for row in rows] == [[1, 1, 1]] * 2


def test_after_the_deadline_no_row_is_begun_but_every_row_is_told_of() -> None:
    def measure(_who: Peer, _size: Size) -> tuple[float, ...]:
        raise AssertionError("measured too late")

    row = only(run(time.monotonic() - 1).rows([Task("work", (WORK,), measure)]))
    assert row.figures == {name: [] for name in "abc"}
    assert set(row.failures.values()) == {"no time was left"}


def test_a_task_may_give_several_rows() -> None:
    other = Work("other", "other", "s")
    task = Task("work", (WORK, other), lambda _who, _size: (1.0, 2.0), warms_up=False)
    first, second = run().rows([task])
    assert (first.figures["a"], second.figures["a"]) == ([1, 1, 1], [2, 2, 2])


def test_rows_are_chosen_by_how_their_names_begin() -> None:
    assert [task.name for task in chosen_tasks(["ct", "get"])] == ["ct-1", "ct-4", "ct-8", "get"]
    assert len(chosen_tasks([])) == len(tasks())


def test_a_name_of_no_row_is_refused_with_those_there_are() -> None:
    with pytest.raises(Exception, match=r"no row is called ctx; there are ct-1"):
        chosen_tasks(["ctx"])


def test_names_and_keys_are_used_once() -> None:
    names = [task.name for task in tasks()]
    keys = [work.key for task in tasks() for work in task.rows]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("size", [WHOLE, SHORT])
def test_loads_divide_among_eight_associations(size: Size) -> None:
    assert size.ct % 8 == 0
    assert size.small % 8 == 0
    assert all(count % 4 == 0 for count in size.large)
