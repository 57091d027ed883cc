"""Stores, deletions and restores of the same study at the same time neither lose anything nor keep it twice."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.index.dump import dump
from tests.index.samples import new_instance
from vna.index.changes import ChangeIndex
from vna.index.copies import CopyIndex
from vna.index.database import Database
from vna.index.instances import InstanceIndex
from vna.index.trash import TrashIndex
from vna.model.identifiers import InstanceUids, Origin
from vna.model.instances import NewInstance, Outcome
from vna.model.trash import Restored

SECONDS_AT_MOST = 120
PATHS = [
    InstanceUids("1.1", "", ""),
    InstanceUids("1.1", "1.1.0", ""),
    InstanceUids("1.1", "1.1.1", "9.5"),
    InstanceUids("1.2", "", ""),
]


def origin(number: int) -> Origin:
    return Origin("web", "someone", "", f"request {number}")


def some_instance(chance: random.Random) -> NewInstance:
    """Of twelve UIDs in two studies and four series of one patient; some come with two contents."""
    number = chance.randrange(12)
    study = "1.1" if number < 8 else "1.2"
    content = "other" if chance.random() < 0.2 else ""
    return new_instance(study, f"{study}.{number % 2}", f"9.{number}", content=f"{number}{content}")


class Ledger:
    """What was acknowledged: objects that are kept, and those that were told to be dropped."""

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self._lock = threading.Lock()

    def store(self, index: InstanceIndex, seed: int) -> None:
        chance = random.Random(seed)
        for number in range(40):
            new = some_instance(chance)
            registration = index.register(new, origin(seed * 1000 + number))
            if registration.location_is_kept:
                assert registration.outcome is not Outcome.DUPLICATE
                with self._lock:
                    self.kept.add(new.location.key)


def delete(trash: TrashIndex, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(25):
        trash.delete(chance.choice(PATHS), origin(seed * 1000 + number))


def restore(trash: TrashIndex, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(25):
        entries = trash.entries()
        if entries:
            trash.restore(chance.choice(entries).trash_id, origin(seed * 1000 + number))


def check_whole(database: Database, kept: set[str]) -> None:
    """Every kept object has one row, every row its place, and nothing above them is empty."""
    rows = dump(
        database, "patient", "study", "series", "instance", "conflict", "location", "trash_item"
    )
    assert sorted(row["key"] for row in rows["location"]) == sorted(kept)
    for column, table in (("instance", "instance"), ("trash_item", "trash_item")):
        named = Counter(row[column] for row in rows["location"] if row[column] is not None)
        owners = {r["id"] for r in rows[table] if "kind" not in r or has_object(r)}
        assert set(named) == owners, table
        assert set(named.values()) <= {1}
    assert {row["series"] for row in rows["instance"]} == {row["id"] for row in rows["series"]}
    assert {row["study"] for row in rows["series"]} == {row["id"] for row in rows["study"]}
    assert {row["patient"] for row in rows["study"]} == {row["id"] for row in rows["patient"]}


def has_object(item: dict[str, object]) -> bool:
    description = item["description"]
    assert isinstance(description, dict)
    return description.get("kind") != "patient_mismatch"


def replayed(database: Database) -> set[str]:
    """Who is visible, as the feed tells it; each change must be possible after those before it."""
    visible: set[str] = set()
    for change in ChangeIndex(database).after(0, 10_000).changes:
        uid = change.uids.sop_instance_uid
        if change.action == "deleted":
            assert uid in visible, change
            visible.remove(uid)
        else:
            assert uid not in visible, change
            visible.add(uid)
    return visible


@pytest.mark.timeout(SECONDS_AT_MOST)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everyone_at_once(database: Database, seed: int) -> None:
    ledger, trash, index = Ledger(), TrashIndex(database), InstanceIndex(database)
    work: list[Callable[[], None]] = [
        *(partial(ledger.store, index, seed * 100 + n) for n in range(4)),
        *(partial(delete, trash, seed * 100 + 10 + n) for n in range(2)),
        *(partial(restore, trash, seed * 100 + 20 + n) for n in range(2)),
    ]
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()
    check_whole(database, ledger.kept)
    visible = {row["sop_instance_uid"] for row in dump(database, "instance")["instance"]}
    assert replayed(database) == visible


@pytest.mark.timeout(SECONDS_AT_MOST)
def test_a_store_under_way_is_before_or_after_a_deletion(database: Database) -> None:
    """A store that has written its rows and not committed yet: the deletion waits for it, and takes it along."""
    index, trash = InstanceIndex(database), TrashIndex(database)
    index.register(new_instance(), origin(0))
    has_written, may_commit = threading.Event(), threading.Event()

    def hold() -> None:
        if not has_written.is_set():
            has_written.set()
            assert may_commit.wait(60)

    with ThreadPoolExecutor(2) as pool:
        storing = pool.submit(index.register, new_instance(instance="1.1.1.2"), origin(1), hold)
        assert has_written.wait(60)
        wait_until_it_works(database)
        deleting = pool.submit(trash.delete, InstanceUids("1.1", "", ""), origin(2))
        wait_until_somebody_waits(database)
        may_commit.set()
        assert storing.result().outcome is Outcome.STORED
        found = deleting.result()
    assert found is not None
    assert found.instances == 2
    assert index.counts().instances == 0


@pytest.mark.timeout(SECONDS_AT_MOST)
@pytest.mark.parametrize("is_known", [False, True])
def test_a_store_that_finds_its_series_gone_stores_it_anew(
    database: Database, database_url: str, *, is_known: bool
) -> None:
    """The deletion has locked the series; the store waits, finds it gone, and begins again by itself."""
    index, trash = InstanceIndex(database), TrashIndex(database)
    index.register(new_instance(), origin(0))
    second = Database(database_url, pool_size=2)
    other = index if is_known else InstanceIndex(second)
    with second, database.connection() as connection, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            connection.execute("SELECT delete_instances('1.1', '', '', 'web', '', '', 'by hand')")
            storing = pool.submit(other.register, new_instance(instance="1.1.1.2"), origin(1))
            wait_until_somebody_waits(database)
        assert storing.result().outcome is Outcome.STORED
    found = index.counts()
    assert (found.patients, found.studies, found.series, found.instances) == (1, 1, 1, 1)
    (entry,) = trash.entries()
    assert trash.restore(entry.trash_id, origin(3)) is not None
    assert index.counts().instances == 2


@pytest.mark.timeout(SECONDS_AT_MOST)
def test_other_content_of_what_is_being_deleted_is_no_conflict(database: Database) -> None:
    index, trash = InstanceIndex(database), TrashIndex(database)
    index.register(new_instance(), origin(0))
    with database.connection() as connection, ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            connection.execute("SELECT delete_instances('1.1', '', '', 'web', '', '', 'by hand')")
            storing = pool.submit(index.register, new_instance(content="other"), origin(1))
            wait_until_somebody_waits(database)
        assert storing.result().outcome is Outcome.STORED
    assert index.conflicts() == []
    (entry,) = trash.entries()
    assert trash.restore(entry.trash_id, origin(2)) == Restored(0, 0, 1)


@pytest.mark.timeout(SECONDS_AT_MOST)
def test_healing_and_deleting_do_not_cross(database: Database) -> None:
    """An object that is replaced at the moment of its deletion: the trash has the one that counts."""
    index, trash, copies = InstanceIndex(database), TrashIndex(database), CopyIndex(database)
    for number in range(20):
        new = new_instance(instance=f"7.{number}")
        index.register(new, origin(number))
        again = new_instance(instance=f"7.{number}")
        lost = copies.find(new)
        assert lost is not None
        uids = new.uids
        with ThreadPoolExecutor(2) as pool:
            healing = pool.submit(copies.heal, lost, again, origin(number))
            deleting = pool.submit(trash.delete, uids, origin(100 + number))
            found = deleting.result()
        assert found is not None
        key = again.location.key if healing.result() else new.location.key
        (entry,) = (e for e in trash.entries() if e.trash_id == found.trash_id)
        trash.restore(entry.trash_id, origin(200 + number))
        kept = copies.find(new)
        assert kept is not None
        assert kept.location.key == key


def wait_until_somebody_waits(database: Database) -> None:
    """Return when a transaction of this database waits for a lock of another."""
    _poll(
        database,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'",
    )


def wait_until_it_works(database: Database) -> None:
    """Return when a transaction that has called register_instance has nothing to do but to commit."""
    _poll(
        database,
        "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
        "WHERE c.relname = 'audit_instance' AND l.mode = 'RowExclusiveLock' AND l.granted",
    )


def _poll(database: Database, statement: str) -> None:
    with database.connection() as connection:
        while True:
            row = connection.execute(statement.encode()).fetchone()
            assert row is not None
            if row[0]:
                return
