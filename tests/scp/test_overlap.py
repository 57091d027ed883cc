"""Overlapping C-STOREs on one association (PS3.7 D.3.3.3): how many, in which order, to what end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_backends.base import Digest, ObjectInfo
from storage_backends.errors import BackendFull
from storage_backends.memory import MemoryBackend
from tests import samples
from tests.scp.raw_peer import RawPeer, encode_message, store_request
from tests.scp.site import PATIENCE, Site, open_site
from tests.scp.test_storage import CONTEXTS, Sample
from tests.scp.test_storage import sample as any_sample
from vna.config import DimseConfig
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database

CT = samples.CT_IMAGE
DEADLINE = 60


def sample(**overrides: samples.Value) -> Sample:
    """An instance of a patient of its own: nothing in the index makes it wait for others."""
    return any_sample(**{"PatientID": samples.new_uid()[:64], **overrides})


class GatedBackend(MemoryBackend):
    """Tells how many objects are being put at once, and lets `on_put(size)` hold them up."""

    def __init__(self) -> None:
        super().__init__()
        self.on_put: Callable[[int], None] = lambda _: None
        self.most = 0
        self._now = 0
        self._counting = threading.Lock()

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        with self._counting:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            self.on_put(size)
            return super().put(key, source, size=size, digest=digest)
        finally:
            with self._counting:
                self._now -= 1


@contextmanager
def gated(
    database: Database, directory: Path, window: int = 8, message_timeout: float = 60.0
) -> Iterator[tuple[Site, GatedBackend]]:
    """A site whose storage can be held up."""
    backend = GatedBackend()
    config = DimseConfig(operations_window=window, message_timeout=message_timeout)
    with open_site(database, backend, directory, config) as site:
        yield site, backend


@contextmanager
def pipelining(site: Site, window: int = 8) -> Iterator[Association]:
    """An association that proposes a window, released at the end."""
    settings = RequestorSettings(
        "TESTS", "VNA", CONTEXTS, timeouts=PATIENCE, operations_window=window
    )
    with Association.request(site.address, settings) as association:
        yield association
        association.release()


def send_all(association: Association, items: Sequence[Sample]) -> list[Command | None]:
    """Pipeline all; the response to each, by position."""
    answers: list[Command | None] = [None] * len(items)
    pipeline = scu.StorePipeline(association)

    def keep(position: int) -> Callable[[Command | None], None]:
        def answered(answer: Command | None) -> None:
            assert answers[position] is None
            answers[position] = answer

        return answered

    for position, item in enumerate(items):
        context = association.context_for(item.sop_class_uid)
        instance = scu.Instance(item.sop_class_uid, item.sop_instance_uid)
        pipeline.store(context, instance, item.dataset, keep(position))
    pipeline.finish()
    assert pipeline.outstanding == 0
    return answers


def statuses(answers: Sequence[Command | None]) -> list[int | None]:
    return [answer.status if answer is not None else None for answer in answers]


def wait_for_all(barrier: threading.Barrier, _: int) -> None:
    barrier.wait()


def test_as_many_stores_overlap_as_were_negotiated(database: Database, tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=DEADLINE)
    with gated(database, tmp_path) as (site, backend):
        backend.on_put = partial(wait_for_all, together)
        with pipelining(site) as association:
            assert (association.max_invoked, association.max_performed) == (8, 1)
            assert statuses(send_all(association, [sample() for _ in range(16)])) == [0] * 16
        assert backend.most == 8
        assert site.object_count() == 16


@pytest.mark.parametrize(("asked", "granted"), [(2, 2), (3, 3), (8, 3), (0, 3), (65535, 3)])
def test_the_smaller_window_counts_even_for_who_ignores_it(
    database: Database, tmp_path: Path, asked: int, granted: int
) -> None:
    items = [sample() for _ in range(12)]
    with gated(database, tmp_path, window=3) as (site, backend):
        together = threading.Barrier(granted, timeout=DEADLINE)
        backend.on_put = partial(wait_for_all, together)
        with RawPeer(site, window=(asked, asked)) as peer:
            assert peer.answer.user.asynchronous_operations == (granted, granted)
            for number, item in enumerate(items):
                peer.store(number + 1, item.sop_instance_uid, item.dataset)
            assert peer.statuses(12) == dict.fromkeys(range(1, 13), 0)
            peer.release()
        assert backend.most == granted


@pytest.mark.parametrize("window", [None, (1, 1)])
def test_without_a_window_one_store_follows_the_other_in_one_thread(
    database: Database, tmp_path: Path, window: tuple[int, int] | None
) -> None:
    items, threads = [sample() for _ in range(6)], set()
    with gated(database, tmp_path) as (site, backend):
        backend.on_put = lambda _: threads.add(threading.current_thread().name)
        with RawPeer(site, window=window) as peer:
            assert peer.answer.user.asynchronous_operations == window
            for number, item in enumerate(items):
                peer.store(number + 1, item.sop_instance_uid, item.dataset)
            answered = [peer.response()[0].message_id_being_responded_to for _ in items]
            peer.release()
        assert answered == list(range(1, 7))
        assert backend.most == 1
        assert threads == {"dicom-127.0.0.1"}


def test_a_configured_window_of_one_is_the_synchronous_mode(
    database: Database, tmp_path: Path
) -> None:
    with gated(database, tmp_path, window=1) as (site, backend), pipelining(site) as association:
        assert association.max_invoked == 1
        assert statuses(send_all(association, [sample() for _ in range(5)])) == [0] * 5
        assert backend.most == 1


def test_a_slow_store_holds_up_no_other(database: Database, tmp_path: Path) -> None:
    slow, others = sample(PatientComments="x" * 9000), [sample() for _ in range(5)]
    gate = threading.Event()

    def hold(size: int) -> None:
        if size > 9000:
            assert gate.wait(DEADLINE)

    with gated(database, tmp_path) as (site, backend):
        backend.on_put = hold
        with RawPeer(site) as peer:
            for number, item in enumerate([slow, *others]):
                peer.store(number, item.sop_instance_uid, item.dataset)
            assert peer.statuses(5) == dict.fromkeys(range(1, 6), 0)
            gate.set()
            assert peer.statuses(1) == {0: 0}
            peer.release()


def test_each_failure_is_told_of_the_instance_that_failed(
    database: Database, tmp_path: Path
) -> None:
    good = [sample() for _ in range(6)]
    garbage = Sample(CT, "1.2.3.4", b"\xff\xfe\xfd no dataset at all" * 99)
    other_uid = Sample(CT, "1.2.3.5", sample().dataset)
    no_uid = Sample(CT, "../../etc/passwd", sample().dataset)
    empty = Sample(CT, "1.2.3.6", b"")
    full = sample(PatientComments="x" * 9000)
    sent = [good[0], garbage, good[1], other_uid, no_uid, good[2], empty, good[3], full, *good[4:]]

    def refuse(size: int) -> None:
        if size > 9000:
            raise BackendFull("memory: no room")

    with gated(database, tmp_path) as (site, backend):
        backend.on_put = refuse
        with pipelining(site) as association:
            answers = send_all(association, sent)
            assert scu.echo(association).status == 0
        by_uid = {item.sop_instance_uid: item for item in good}
        expected = [0, 0xC000, 0, 0xA900, 0x0117, 0, 0xC000, 0, 0xA700, 0, 0]
        assert statuses(answers) == expected
        for item, answer in zip(sent, answers, strict=True):
            assert answer is not None
            assert answer.affected_sop_instance_uid == item.sop_instance_uid
        for uid, item in by_uid.items():
            assert site.dataset(uid) == item.dataset
        assert site.object_count() == len(good)
        assert site.spooled_files() == []


@pytest.mark.parametrize("copies", [2, 8])
def test_the_same_instance_in_one_window_is_one_object(site: Site, copies: int) -> None:
    item = sample()
    with pipelining(site) as association:
        assert statuses(send_all(association, [item] * copies)) == [0] * copies
    assert site.dataset(item.sop_instance_uid) == item.dataset
    assert site.object_count() == 1


def test_of_two_contents_under_one_uid_the_first_that_came_keeps_it(
    database: Database, tmp_path: Path
) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.9"}
    first = sample(**uids, PatientComments="x" * 9000)
    second, third = (sample(**uids, PatientComments=text) for text in ("two", "three"))
    gate = threading.Event()

    def hold(size: int) -> None:
        if size > 9000:
            assert gate.wait(DEADLINE)

    with gated(database, tmp_path) as (site, backend):
        backend.on_put = hold
        with RawPeer(site) as peer:
            for number, item in enumerate([first, sample(), sample(), second, third]):
                peer.store(number, item.sop_instance_uid, item.dataset)
            assert peer.statuses(2) == {1: 0, 2: 0}
            gate.set()
            assert peer.statuses(3) == {0: 0, 3: 0xB000, 4: 0xB000}
            peer.release()
        assert site.dataset("1.2.3") == first.dataset
        assert site.object_count() == 5


def test_sizes_from_a_kilobyte_to_many_megabytes_arrive_whole(site: Site) -> None:
    sides = (4, 5000, 16, 1200, 100, 4, 2500, 600)
    items = [
        sample(PixelData=bytes([n + 1]) * (side * side), **samples.image(side, side))
        for n, side in enumerate(sides)
    ]
    with pipelining(site, window=4) as association:
        assert statuses(send_all(association, items)) == [0] * len(items)
    for item in items:
        assert site.dataset(item.sop_instance_uid) == item.dataset
    assert site.spooled_files() == []


def test_a_thousand_small_instances_in_one_stream(site: Site) -> None:
    """All requests are written at once, far ahead of the responses."""
    items = [sample() for _ in range(1000)]
    stream = [
        encode_message(1, store_request(number, item.sop_instance_uid), item.dataset)
        for number, item in enumerate(items)
    ]
    with RawPeer(site) as peer:
        sender = threading.Thread(target=peer.send, args=(b"".join(stream),))
        sender.start()
        assert peer.statuses(1000) == dict.fromkeys(range(1000), 0)
        sender.join(DEADLINE)
        peer.release()
    assert site.object_count() == 1000
    for item in items[::97]:
        assert site.dataset(item.sop_instance_uid) == item.dataset


def test_what_one_association_holds_up_is_not_held_up_for_others(
    database: Database, tmp_path: Path
) -> None:
    gate = threading.Event()

    def hold(size: int) -> None:
        if size > 9000:
            assert gate.wait(DEADLINE)

    with gated(database, tmp_path, window=2) as (site, backend):
        backend.on_put = hold
        with RawPeer(site) as stuck, pipelining(site) as association:
            for number in range(4):
                large = sample(PatientComments="x" * 9000)
                stuck.store(number, large.sop_instance_uid, large.dataset)
            assert statuses(send_all(association, [sample() for _ in range(20)])) == [0] * 20
            gate.set()
            assert stuck.statuses(4) == dict.fromkeys(range(4), 0)
            stuck.release()


def test_requests_that_share_a_message_id_are_all_kept_and_answered(site: Site) -> None:
    items = [sample() for _ in range(6)]
    with RawPeer(site) as peer:
        for item in items:
            peer.store(1, item.sop_instance_uid, item.dataset)
        answers = [peer.response()[0] for _ in items]
        peer.release()
    assert [answer.status for answer in answers] == [0] * 6
    assert {answer.affected_sop_instance_uid for answer in answers} == {
        item.sop_instance_uid for item in items
    }
    assert site.object_count() == 6


NOT_DICOM = "no dataset at all"


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    window=st.integers(1, 9),
    stream=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["one", "two", NOT_DICOM])), max_size=24
    ),
    step=st.integers(1, 5000),
)
def test_whatever_overlaps_the_outcome_is_that_of_one_after_the_other(
    site: Site, window: int, stream: list[tuple[int, str]], step: int
) -> None:
    """Few UIDs, with contents that agree, differ or are none; the bytes come in pieces of any size."""
    uids = [samples.new_uid() for _ in range(4)]
    first: dict[str, str] = {}
    expected, sent = {}, b""
    for message_id, (number, content) in enumerate(stream):
        uid = uids[number]
        dataset = _instance(uid, content)
        sent += encode_message(1, store_request(message_id, uid), dataset)
        if content == NOT_DICOM:
            expected[message_id] = 0xC000
        else:
            expected[message_id] = 0 if first.setdefault(uid, content) == content else 0xB000
    with RawPeer(site, window=(window, 1)) as peer:
        for start in range(0, len(sent), step):
            peer.send(sent[start : start + step])
        assert peer.statuses(len(stream)) == expected
        peer.release()
    for uid, content in first.items():
        assert site.dataset(uid) == _instance(uid, content)


def _instance(uid: str, content: str) -> bytes:
    if content == NOT_DICOM:
        return NOT_DICOM.encode() * 9
    elements = {"SOPInstanceUID": uid, "StudyInstanceUID": f"{uid}.1", "PatientID": uid}
    return any_sample(**elements, SeriesInstanceUID=f"{uid}.2", PatientComments=content).dataset
