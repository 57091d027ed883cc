"""What is prepared before its turn: never more than a few, nothing lost, no waiting where there is no time."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from storage_backends.base import Digest
from vna.dimse.negotiation import PresentationContext
from vna.errors import Unavailable
from vna.model.identifiers import InstanceUids
from vna.model.instances import InstanceLayout, Location, StoredInstance
from vna.scp.feed import FIRST_PAGE, Feed
from vna.scp.plan import Routes
from vna.scp.read_ahead import DEPTH, FIRST_ONES, Prepared, ReadAhead
from vna.scp.rendition import Payload, Rendition

TOTAL = 20
CONTEXT = PresentationContext(1, "1.2", "1.2.3", as_scu=True, as_scp=False)


def stored(number: int) -> StoredInstance:
    return StoredInstance(
        instance_id=number,
        uids=InstanceUids("1.1", "1.2", f"1.3.{number}"),
        sop_class_uid="1.2",
        transfer_syntax_uid="1.2.3",
        number_of_frames=1,
        layout=InstanceLayout(0, 0, 0, 0, 0),
        location=Location("b", str(number), 0, 1),
        object_digest=Digest("blake3", ""),
        dataset_digest=Digest("blake3", ""),
    )


class FewRoutes:
    """One context for everything."""

    def find(self, _sop_class_uid: str, _syntaxes: Sequence[str]) -> PresentationContext:
        return CONTEXT


class Reading:
    """Notes what is read; waits at the instance `held` until it may go on."""

    def __init__(self, held: int = -1) -> None:
        self.changed = threading.Condition()
        self.read: list[int] = []
        self.held = held
        self.go_on = threading.Event()

    def syntaxes(self, _instance: StoredInstance) -> Sequence[str]:
        return ("1.2.3",)

    def sop_instance_uid(self, instance: StoredInstance) -> str:
        return instance.uids.sop_instance_uid

    def is_light(self, _instance: StoredInstance, _transfer_syntax_uid: str) -> bool:
        return True

    def payload(self, instance: StoredInstance, _transfer_syntax_uid: str) -> Payload:
        with self.changed:
            self.read.append(instance.instance_id)
            self.changed.notify_all()
        if instance.instance_id == self.held:
            assert self.go_on.wait(30)
        return Payload(b"")

    def await_read(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.read) >= count, 30)


@pytest.fixture
def feed() -> Feed:
    return Feed(array("q", range(TOTAL)), lambda ids: list(map(stored, ids)), lambda _count: None)


def ahead_of(feed: Feed, reading: Reading) -> ReadAhead:
    return ReadAhead(feed, cast("Rendition", reading), cast("Routes", FewRoutes()))


def number(prepared: Prepared | None) -> int:
    assert prepared is not None
    return prepared.attempt.instance.instance_id


def rest(feed: Feed) -> Iterator[int]:
    while (attempt := feed.take()) is not None:
        yield attempt.instance.instance_id


def test_all_come_in_order_and_the_end_stays_the_end(feed: Feed) -> None:
    ahead = ahead_of(feed, Reading())
    assert [number(ahead.next(30)) for _ in range(TOTAL)] == list(range(TOTAL))
    assert ahead.next(30) is None
    assert ahead.next(30) is None
    ahead.close()


def test_no_more_than_a_few_wait_in_memory_and_all_of_them_go_back(feed: Feed) -> None:
    reading = Reading()
    ahead = ahead_of(feed, reading)
    taken = [number(ahead.next(30)) for _ in range(FIRST_ONES + 3)]
    reading.await_read(len(taken) + DEPTH)
    ahead.close()  # waits for the thread, so nothing is read any more
    assert len(reading.read) == len(taken) + DEPTH
    assert list(rest(feed)) == list(range(len(taken), TOTAL))


def test_where_there_is_no_time_nobody_waits_for_the_storage(feed: Feed) -> None:
    reading = Reading(held=FIRST_ONES)
    ahead = ahead_of(feed, reading)
    for _ in range(FIRST_ONES):
        ahead.next(30)
    ahead.prefetch()
    reading.await_read(FIRST_ONES + 1)
    ahead.close(at_once=True)
    reading.go_on.set()
    assert list(rest(feed)) == list(range(FIRST_ONES + 1, TOTAL))


def test_a_feed_that_fails_is_told_in_its_turn() -> None:
    def fail_later(ids: Sequence[int]) -> list[StoredInstance]:
        if 0 not in ids:  # not the first page
            raise Unavailable("the index is gone")
        return list(map(stored, ids))

    feed = Feed(array("q", range(FIRST_PAGE + 1)), fail_later, lambda _count: None)
    ahead = ahead_of(feed, Reading())
    assert [number(ahead.next(30)) for _ in range(FIRST_PAGE)] == list(range(FIRST_PAGE))
    for _ in range(2):
        with pytest.raises(Unavailable, match="the index is gone"):
            ahead.next(30)
    ahead.close()
