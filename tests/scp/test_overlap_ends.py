"""How associations end on which operations overlap: nothing acknowledged is lost, nothing is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scp.raw_peer import ABORT, RELEASE_RP, RawPeer, encode_message, store_request
from tests.scp.site import Site
from tests.scp.test_overlap import DEADLINE, GatedBackend, gated, sample
from tests.scp.test_storage import Sample
from vna.dimse.pdu import Abort
from vna.index.database import Database


class Held:
    """A site on which `count` stores of one association are under way and can't go on."""

    def __init__(self, site: Site, backend: GatedBackend, peer: RawPeer, items: list[Sample]):
        self.site, self.backend, self.peer, self.items = site, backend, peer, items
        self.gate = threading.Event()
        self._arrived = threading.Semaphore(0)

    def hold(self, _: int) -> None:
        self._arrived.release()
        assert self.gate.wait(DEADLINE)

    def start(self) -> None:
        self.backend.on_put = self.hold
        for number, item in enumerate(self.items):
            self.peer.store(number, item.sop_instance_uid, item.dataset)
        for _ in self.items:
            assert self._arrived.acquire(timeout=DEADLINE)

    def check_all_kept(self) -> None:
        """Everything that was received whole is there, and nothing else is left."""
        assert self.site.listener.wait_idle(DEADLINE)
        for item in self.items:
            assert self.site.dataset(item.sop_instance_uid) == item.dataset
        assert self.site.object_count() == len(self.items)
        assert self.site.spooled_files() == []


@contextmanager
def holding(database: Database, directory: Path, count: int = 4) -> Iterator[Held]:
    with gated(database, directory) as (site, backend), RawPeer(site) as peer:
        held = Held(site, backend, peer, [sample() for _ in range(count)])
        held.start()
        try:
            yield held
        finally:
            held.gate.set()


def test_a_release_waits_for_the_stores_under_way(database: Database, tmp_path: Path) -> None:
    with holding(database, tmp_path) as held:
        held.peer.ask_release()
        held.gate.set()
        assert held.peer.statuses(4) == dict.fromkeys(range(4), 0)
        assert held.peer.pdu()[0] == RELEASE_RP
        held.peer.sock.close()
        held.check_all_kept()


def test_an_abort_lets_the_stores_under_way_finish(database: Database, tmp_path: Path) -> None:
    with holding(database, tmp_path) as held:
        held.peer.send(Abort().encode())
        assert held.peer.pdu()[0] == 0
        held.gate.set()
        held.check_all_kept()


def test_a_lost_connection_lets_the_stores_under_way_finish(
    database: Database, tmp_path: Path
) -> None:
    with holding(database, tmp_path) as held:
        lost = sample(PatientComments="y" * 9000)
        message = encode_message(1, store_request(9, lost.sop_instance_uid), lost.dataset)
        held.peer.send(message[: len(message) // 2])
        held.peer.sock.close()
        held.gate.set()
        held.check_all_kept()
        assert held.site.stored(lost.sop_instance_uid) == []


@pytest.mark.parametrize(
    "junk", [b"\x09" * 64, b"\x04\x00\xff\xff\xff\xff", b"\x04\x00" + bytes(9)]
)
def test_a_broken_protocol_lets_the_stores_under_way_finish(
    database: Database, tmp_path: Path, junk: bytes
) -> None:
    with holding(database, tmp_path) as held:
        held.peer.send(junk)
        assert held.peer.pdu()[0] == ABORT
        held.peer.sock.close()
        held.gate.set()
        held.check_all_kept()


def test_a_response_to_nothing_ends_the_association_but_no_store(
    database: Database, tmp_path: Path
) -> None:
    with holding(database, tmp_path) as held:
        request = store_request(3, "1.2.3")
        held.peer.message(1, type(request)(0x8001, message_id_being_responded_to=77, status=0))
        assert held.peer.pdu()[0] == ABORT
        held.peer.sock.close()
        held.gate.set()
        held.check_all_kept()


def test_a_drain_waits_for_the_stores_under_way_and_answers_them(
    database: Database, tmp_path: Path
) -> None:
    with holding(database, tmp_path) as held:
        assert not held.site.listener.drain(0)
        held.gate.set()
        assert held.peer.statuses(4) == dict.fromkeys(range(4), 0)
        assert held.peer.pdu()[0] in {ABORT, 0}
        held.check_all_kept()


def test_an_interrupt_ends_all_threads_once_the_stores_are_done(
    database: Database, tmp_path: Path
) -> None:
    with holding(database, tmp_path) as held:
        held.site.listener.interrupt()
        assert held.peer.pdu()[0] == 0
        assert not held.site.listener.wait_idle(0)
        held.gate.set()
        held.check_all_kept()
