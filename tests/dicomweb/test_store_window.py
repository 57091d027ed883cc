"""Instances of one request that are stored at once: order, bounds, and what happens when it breaks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomweb.store_window import WINDOW, Helpers, StoreWindow
from vna.spool import Spool, Spooled


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, 1024)
    yield spool
    spool.close()


def spooled(spool: Spool, number: int) -> Spooled:
    with spool.open() as writer:
        writer.write(bytes([number]))
        return writer.finish()


class Store:
    """Keeps numbers; while `gate` is shut, only in the thread of the test."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[int] = []
        self.entered = threading.Semaphore(0)
        self.main = threading.get_ident()

    def keep(self, item: Spooled) -> int:
        with item, item.buffer() as buffer:
            number = buffer[0]
        self.begun.append(number)
        self.entered.release()
        if threading.get_ident() != self.main:
            assert self.gate.wait(30)
        return number


def test_results_come_in_order_and_the_last_needs_no_thread(spool: Spool) -> None:
    store = Store()
    window = StoreWindow(Helpers(2), store.keep)
    found = []
    store.gate.set()
    for number in range(20):
        found += window.add(f"1.{number}", spooled(spool, number))
    assert found + window.finish() == list(range(20))


def test_one_alone_is_stored_by_its_own_thread(spool: Spool) -> None:
    store = Store()
    window = StoreWindow(Helpers(2), store.keep)
    assert window.add("1.1", spooled(spool, 7)) == []
    assert store.begun == []
    assert window.finish() == [7]


def test_no_more_than_the_window_wait(spool: Spool) -> None:
    store = Store()
    window = StoreWindow(Helpers(100), store.keep)
    for number in range(WINDOW):
        assert window.add(f"1.{number}", spooled(spool, number)) == []
    for _ in range(WINDOW - 1):
        store.entered.acquire()
    full = threading.Thread(target=window.add, args=("1.9", spooled(spool, 9)))
    full.start()
    store.entered.acquire()
    assert sorted(store.begun) == list(range(WINDOW))
    full.join(0.05)
    assert full.is_alive()
    store.gate.set()
    full.join(30)
    assert not full.is_alive()
    window.finish()


@pytest.mark.parametrize("uid", ["1.1", ""])
def test_one_uid_and_what_names_none_are_stored_one_after_the_other(spool: Spool, uid: str) -> None:
    store = Store()
    store.gate.set()
    window = StoreWindow(Helpers(4), store.keep)
    found = []
    for number in range(9):
        found += window.add(uid, spooled(spool, number))
    found += window.finish()
    assert store.begun == found == list(range(9))


def test_without_a_free_helper_the_request_stores_by_itself(spool: Spool) -> None:
    store, busy = Store(), Helpers(1)
    held = threading.Event()
    future = busy.submit(lambda: held.wait(30))
    assert future is not None
    window = StoreWindow(busy, store.keep)
    found = window.add("1.1", spooled(spool, 1)) + window.add("1.2", spooled(spool, 2))
    assert found == [1]
    assert window.finish() == [2]
    held.set()
    assert future.result(30)


def test_dropping_closes_what_waits(spool: Spool) -> None:
    store = Store()
    store.gate.set()
    window = StoreWindow(Helpers(2), store.keep)
    items = [spooled(spool, number) for number in range(3)]
    for number, item in enumerate(items):
        window.add(f"1.{number}", item)
    window.drop()
    assert 2 not in store.begun
    for item in items:
        with pytest.raises(ValueError, match="closed"), item.buffer():
            pass


def test_an_error_of_the_store_comes_out(spool: Spool) -> None:
    def broken(item: Spooled) -> int:
        item.close()
        raise OSError("a fault")

    window = StoreWindow(Helpers(2), broken)
    with pytest.raises(OSError, match="fault"):
        for number in range(3 * WINDOW):
            window.add(f"1.{number}", spooled(spool, number))
    window.drop()


def test_many_requests_at_once_need_no_helpers() -> None:
    helpers = Helpers(2)
    with helpers.serving(), helpers.serving():
        with helpers.serving():
            assert helpers.submit(lambda: 1) is None
        future = helpers.submit(lambda: 1)
        assert future is not None
        assert future.result() == 1
