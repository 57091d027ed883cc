"""One peer's failure loses nothing of the others; turns, fills and the time limit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.benchmarks import peer_fills
from tests.benchmarks.comparison import Comparison, Work, cells
from tests.benchmarks.peer_fills import FILLS, affordable_studies
from tests.benchmarks.peer_rows import tasks
from tests.benchmarks.peer_run import Run
from tests.benchmarks.peer_tasks import SHORT, WHOLE, Size, Stored, Task
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


def test_what_was_refused_is_summed_up_and_said() -> None:
    def measure(who: Peer, _size: Size) -> Stored:
        return Stored((10.0,), 2 if who.name == "b" else 0, 8)

    row = only(run().rows([Task("work", (WORK,), measure)]))
    assert row.figures["b"] == [10, 10, 10]
    assert row.refused == {"a": (0, 24), "b": (6, 24), "c": (0, 24)}
    assert cells(row)[-1] == row.note == "b refused 6 of 24"


def test_a_row_tells_how_many_studies_are_searched() -> None:
    peers = [peer("a"), replace(peer("b"), most_studies=4)]
    measuring = Run(peers, SIZE, math.inf, lambda _text: None)
    measuring.filled.update({("studies", "a"): "", ("studies", "b"): ""})
    task = Task("work", (WORK,), lambda _who, _size: (1.0,), needs="studies", warms_up=False)
    assert only(measuring.rows([task])).note == "8 studies, 4 in b"


def test_as_many_studies_are_filled_as_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"a": 100.0, "b": 25.0, "c": 1.0}

    def store(_item: object, count: int, _associations: int, who: Peer) -> Stored:
        return Stored((rates[who.name], 0.0), 0, count)

    monkeypatch.setattr(peer_fills, "store", store)
    peers = [peer("a"), peer("b"), replace(peer("c"), most_studies=300)]  # c is filled at once
    assert affordable_studies(peers, WHOLE, 100) == 2000
    assert affordable_studies(peers, WHOLE, 1) == 400
    assert affordable_studies(peers, WHOLE, 10_000) == WHOLE.studies
    assert affordable_studies(peers[2:], WHOLE, 1) == WHOLE.studies


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
