"""Associations of all processes are counted together, and never for ever."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import pytest

from vna.scp.places import Limit, Limits, Place, Places, address_group

LOOSE = Limits(total=100, per_ae=100, per_address=100)
_FORK = multiprocessing.get_context("fork")


def taken(outcome: Place | Limit) -> Place:
    assert isinstance(outcome, Place)
    return outcome


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(total=2, per_ae=9, per_address=9), Limit.TOTAL),
        (Limits(total=9, per_ae=2, per_address=9), Limit.PER_AE),
        (Limits(total=9, per_ae=9, per_address=2), Limit.PER_ADDRESS),
    ],
)
def test_each_limit_stands_and_a_place_left_can_be_taken(limits: Limits, limit: Limit) -> None:
    places = Places(10)
    first, _ = (taken(places.take("10.0.0.1", "CT1", limits)) for _ in range(2))
    assert places.take("10.0.0.1", "CT1", limits) is limit
    if limit is not Limit.TOTAL:
        taken(places.take("10.0.0.2", "CT2", limits)).leave()
    first.leave()
    first.leave()
    assert places.count() == 1
    taken(places.take("10.0.0.1", "CT1", limits))


def test_the_table_itself_is_a_limit() -> None:
    places = Places(1)
    taken(places.take("10.0.0.1", "CT1", LOOSE))
    assert places.take("10.0.0.2", "CT2", LOOSE) is Limit.TOTAL


def test_threads_take_no_more_than_there_are() -> None:
    places = Places(50)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda n: places.take(f"10.0.0.{n}", "AE", LOOSE), range(200)))
    assert sum(isinstance(outcome, Place) for outcome in outcomes) == 50
    assert places.count() == 50


def test_strange_names_and_addresses_have_places_too() -> None:
    places = Places(3)
    for address, title in (("", ""), ("x" * 100, "Ü" * 16), ("fe80::1%eth0", "A")):
        taken(places.take(address, title, LOOSE)).leave()
    assert places.count() == 0


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, is_same: bool) -> None:
    assert (address_group(one) == address_group(other)) is is_same


def _child(places: Places, pipe: Connection, count: int) -> None:
    held = [places.take("10.0.0.1", "CT1", LOOSE) for _ in range(count)]
    pipe.send(sum(isinstance(place, Place) for place in held))
    while pipe.recv() == "leave":
        taken(held.pop()).leave()
        pipe.send("left")


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Callable[[Places, int], tuple[int, Connection]]:
    """Starts a process that takes places and waits; returns its id and the line to it."""

    def start(places: Places, count: int) -> tuple[int, Connection]:
        ours, theirs = _FORK.Pipe()
        process = _FORK.Process(target=_child, args=(places, theirs, count))
        process.start()
        theirs.close()

        def end() -> None:
            with contextlib.suppress(BrokenPipeError):  # it was killed
                ours.send("end")
            ours.close()
            process.join(60)
            process.close()

        request.addfinalizer(end)
        assert ours.poll(60)
        assert ours.recv() == count
        assert process.pid is not None
        return process.pid, ours

    return start


Worker = Callable[[Places, int], tuple[int, Connection]]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_processes_count_together(worker: Worker) -> None:
    places = Places(5)
    _, line = worker(places, 3)
    worker(places, 1)
    mine = taken(places.take("10.0.0.9", "MR1", LOOSE))
    assert places.take("10.0.0.9", "MR1", LOOSE) is Limit.TOTAL
    assert places.take("10.0.0.1", "X", Limits(9, 9, 4)) is Limit.TOTAL
    line.send("leave")
    assert line.recv() == "left"
    taken(places.take("10.0.0.9", "MR1", LOOSE)).leave()
    mine.leave()
    assert places.count() == 3


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_that_is_killed_leaves_its_places(worker: Worker) -> None:
    places = Places(4)
    taken(places.take("10.0.0.9", "MR1", LOOSE))
    victim, line = worker(places, 2)
    worker(places, 1)
    assert places.take("10.0.0.9", "MR1", LOOSE) is Limit.TOTAL
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(EOFError):  # it is gone, though nobody has reaped it
        line.recv()
    again = [places.take("10.0.0.9", "MR1", LOOSE) for _ in range(3)]
    assert [isinstance(place, Place) for place in again] == [True, True, False]
    assert places.count() == 4
