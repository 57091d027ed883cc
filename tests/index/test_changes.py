"""The feed of changes: numbered without gaps, in an order to which only later commits are added."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.index.samples import ORIGIN, new_instance
from tests.index.test_trash_concurrency import wait_until_somebody_waits
from vna.index import changes as module
from vna.index.changes import ChangeIndex
from vna.index.database import Connection, Database
from vna.index.instances import InstanceIndex
from vna.model.changes import ChangeAction
from vna.model.instances import Outcome


@pytest.fixture
def feed(database: Database) -> ChangeIndex:
    return ChangeIndex(database)


def store(index: InstanceIndex, *numbers: int) -> None:
    for number in numbers:
        index.register(new_instance(instance=f"1.1.1.{number}"), ORIGIN)


def seen(feed: ChangeIndex, after: int = 0, limit: int = 1000) -> list[str]:
    return [c.uids.sop_instance_uid for c in feed.after(after, limit).changes]


def test_what_was_stored_is_told_in_order(index: InstanceIndex, feed: ChangeIndex) -> None:
    store(index, 3, 1, 2)
    page = feed.after(0, 10)
    assert [change.number for change in page.changes] == [1, 2, 3]
    assert [c.uids.sop_instance_uid for c in page.changes] == ["1.1.1.3", "1.1.1.1", "1.1.1.2"]
    assert {change.action for change in page.changes} == {ChangeAction.STORED}
    assert page.changes[0].uids == new_instance(instance="1.1.1.3").uids
    assert page.changes[0].at.tzinfo is not None
    assert (page.oldest, page.newest) == (1, 3)


def test_duplicates_and_conflicts_are_no_changes(index: InstanceIndex, feed: ChangeIndex) -> None:
    store(index, 1)
    assert index.register(new_instance(), ORIGIN).outcome is Outcome.DUPLICATE
    assert index.register(new_instance(content="other"), ORIGIN).outcome is Outcome.CONFLICT
    assert seen(feed) == ["1.1.1.1"]


def test_a_reader_goes_on_from_the_last_number(index: InstanceIndex, feed: ChangeIndex) -> None:
    store(index, 1, 2)
    assert len(seen(feed)) == 2
    assert seen(feed, after=2) == []
    store(index, 3)
    assert seen(feed, after=2) == ["1.1.1.3"]
    assert seen(feed) == ["1.1.1.1", "1.1.1.2", "1.1.1.3"], "it can be read again"
    assert seen(feed, after=10**15) == []


def test_pages(index: InstanceIndex, feed: ChangeIndex) -> None:
    store(index, 1, 2, 3)
    assert seen(feed, limit=2) == ["1.1.1.1", "1.1.1.2"]
    assert seen(feed, after=2, limit=2) == ["1.1.1.3"]
    assert seen(feed, limit=0) == []
    assert feed.after(0, 0).newest == 3


def test_many_changes_are_numbered_in_several_transactions(
    index: InstanceIndex, feed: ChangeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    store(index, *range(1, 8))
    assert seen(feed) == [f"1.1.1.{n}" for n in range(1, 8)]
    store(index, 8, 9, 10)
    assert feed.number() == 3
    assert feed.number() == 0


def test_an_empty_archive_has_no_changes(feed: ChangeIndex) -> None:
    page = feed.after(0, 10)
    assert (page.changes, page.oldest, page.newest) == ((), 0, 0)


def test_who_commits_late_comes_late(index: InstanceIndex, feed: ChangeIndex) -> None:
    """A transaction that began before others and commits after them is not missed by who has read theirs."""
    is_waiting, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        is_waiting.set()
        assert may_commit.wait(60)

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(index.register, new_instance(instance="1.1.1.1"), ORIGIN, hold)
        assert is_waiting.wait(60)
        other = new_instance("1.2", "1.2.1", "1.2.1.1", patient_id="P2")
        index.register(other, ORIGIN)
        assert seen(feed) == ["1.2.1.1"]
        may_commit.set()
        slow.result()
    assert seen(feed, after=1) == ["1.1.1.1"]


def test_who_reads_while_another_numbers_waits_and_goes_on_behind(
    database: Database, index: InstanceIndex, feed: ChangeIndex
) -> None:
    store(index, 1)
    with database.connection() as connection, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            assert connection.execute("SELECT number_changes(10)").fetchone() == (1,)
            store(index, 2)
            reading = pool.submit(feed.after, 0, 10)
            wait_until_somebody_waits(database)
        told = [(c.number, c.uids.sop_instance_uid) for c in reading.result().changes]
    assert told == [(1, "1.1.1.1"), (2, "1.1.1.2")]


def test_readers_on_many_nodes_see_all_changes_once_and_in_one_order(
    database: Database, database_url: str
) -> None:
    """Writers and readers at the same time; each reader goes on from the last number that it saw."""
    writers, each = 4, 25
    is_over = threading.Event()

    def write(writer: int) -> None:
        with Database(database_url, pool_size=2) as own:
            index = InstanceIndex(own)
            for number in range(each):
                uid = f"1.{writer}.{number}"
                index.register(
                    new_instance(f"1.{writer}", f"1.{writer}.1", uid, patient_id=f"P{writer}"),
                    ORIGIN,
                )

    def read(seed: int) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        chance = random.Random(seed)
        with Database(database_url, pool_size=2) as own:
            feed, is_last = ChangeIndex(own), False
            while True:
                page = feed.after(found[-1][0] if found else 0, chance.randint(1, 20))
                found += [(c.number, c.uids.sop_instance_uid) for c in page.changes]
                if is_last and not page.changes:
                    return found
                is_last = is_over.is_set()

    with ThreadPoolExecutor(writers + 3) as pool:
        readers = [pool.submit(read, seed) for seed in range(3)]
        for writing in [pool.submit(write, writer) for writer in range(writers)]:
            writing.result()
        is_over.set()
        told = [reader.result() for reader in readers]
    assert told[0] == told[1] == told[2]
    assert [number for number, _ in told[0]] == list(range(1, writers * each + 1))
    assert len({uid for _, uid in told[0]}) == writers * each


def test_what_another_reader_numbers_at_this_moment_is_in_the_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    InstanceIndex(database).register(new_instance(), ORIGIN)
    number = module._number

    def after_another(connection: Connection) -> int:
        database.attempt(number)
        return number(connection)

    monkeypatch.setattr(module, "_number", after_another)
    assert len(ChangeIndex(database).after(0, 10).changes) == 1


def test_old_changes_are_forgotten_and_numbers_go_on(
    database: Database, index: InstanceIndex, feed: ChangeIndex
) -> None:
    store(index, 1, 2, 3)
    feed.number()
    with database.connection() as connection:
        connection.execute("UPDATE change SET at = now() - interval '10 days' WHERE number < 3")
    feed.forget(20)
    assert feed.after(0, 10).oldest == 1
    feed.forget(5)
    page = feed.after(0, 10)
    assert (page.oldest, page.newest) == (3, 3)
    with database.connection() as connection:
        connection.execute("UPDATE change SET at = now() - interval '10 days'")
    feed.forget(5)
    store(index, 4)
    page = feed.after(3, 10)
    assert [change.number for change in page.changes] == [4], "the last one was kept"
