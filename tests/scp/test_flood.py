"""Peers that connect and say nothing, or half of something, shut out nobody."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from storage_backends.memory import MemoryBackend
from tests import samples
from tests.scp.site import LOOPBACK, PATIENCE, Site, open_site
from vna import metrics
from vna.config import DimseConfig
from vna.dimse import scu
from vna.dimse.associate import encode_request
from vna.dimse.association import Association
from vna.dimse.errors import AssociationRejected
from vna.dimse.handshake import make_request
from vna.dimse.pdu import PduType, ReleaseRequest
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database
from vna.scp import listener as module
from vna.scp.policy import VERIFICATION
from vna.scp.waiting import ROOM, ROOM_PER_ADDRESS

ELSEWHERE = "127.0.0.2"
SILENT = 300
ACCEPTED = b"\x02"
SETTINGS = RequestorSettings(
    "TESTS", "VNA", ((VERIFICATION, (samples.IMPLICIT,)),), timeouts=PATIENCE
)
HALF_A_REQUEST = b"\x01\x00\x00\x00\x00\x44\x00\x01"


@pytest.fixture
def patient_site(database: Database, tmp_path: Path) -> Iterator[Site]:
    """A door that would wait for an hour: nothing in these tests may depend on ARTIM."""
    config = DimseConfig(artim_timeout=3600, idle_timeout=3600, max_associations=10)
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        yield site


@contextmanager
def crowd(site: Site, size: int, said: bytes = b"", address: str = LOOPBACK) -> Iterator[None]:
    """So many connections from one address that say so much and then nothing."""
    with ExitStack() as open_ones:
        for _ in range(size):
            silent = socket.create_connection(site.address, 60, (address, 0))
            open_ones.enter_context(silent)
            silent.sendall(said)
        yield


def assert_let_in(site: Site, address: str) -> None:
    """A real client from `address` is let in."""
    with socket.create_connection(site.address, 60, (address, 0)) as sock:
        sock.sendall(encode_request(make_request(SETTINGS)))
        assert sock.recv(1) == ACCEPTED


@pytest.mark.parametrize("said", [b"", HALF_A_REQUEST], ids=["silent", "half a request"])
@pytest.mark.parametrize("address", [LOOPBACK, ELSEWHERE])
def test_a_crowd_of_silent_connections_keeps_nobody_out(
    patient_site: Site, said: bytes, address: str
) -> None:
    evicted = metrics.ASSOCIATIONS.labels("evicted")._value.get()
    with crowd(patient_site, SILENT, said):
        for _ in range(5):
            assert_let_in(patient_site, address)
        assert patient_site.listener.open_connections <= 10 + module.SPARE_CONNECTIONS
    gone = metrics.ASSOCIATIONS.labels("evicted")._value.get() - evicted
    assert gone >= SILENT - ROOM_PER_ADDRESS
    assert patient_site.listener.wait_idle(60)


def test_crowds_from_many_addresses_keep_nobody_out(patient_site: Site) -> None:
    with ExitStack() as crowds:
        for number in range(10, 16):
            crowds.enter_context(crowd(patient_site, 60, address=f"127.0.0.{number}"))
        assert 6 * ROOM_PER_ADDRESS > ROOM
        assert_let_in(patient_site, ELSEWHERE)
        assert_let_in(patient_site, LOOPBACK)
    assert patient_site.listener.wait_idle(60)


def test_associations_are_never_evicted(patient_site: Site) -> None:
    with Association.request(patient_site.address, SETTINGS) as working:
        with crowd(patient_site, SILENT):
            assert_let_in(patient_site, LOOPBACK)
            assert scu.echo(working).status == 0
        working.release()
    assert patient_site.listener.wait_idle(60)


def test_peers_that_never_close_after_their_release_keep_nobody_out(patient_site: Site) -> None:
    with ExitStack() as left_open:
        for _ in range(SILENT):
            sock = left_open.enter_context(socket.create_connection(patient_site.address, 60))
            sock.sendall(encode_request(make_request(SETTINGS)) + ReleaseRequest().encode())
            with sock.makefile("rb") as answer:
                assert _answer_kind(answer) == PduType.ASSOCIATE_AC
                assert _answer_kind(answer) == PduType.RELEASE_RP
        assert_let_in(patient_site, ELSEWHERE)
        assert patient_site.listener.open_connections <= 2 * ROOM_PER_ADDRESS
    assert patient_site.listener.wait_idle(60)
    assert patient_site.rejections() == []


def _answer_kind(answer: BinaryIO) -> int:
    """The type of the next PDU, which is read whole."""
    kind, length = struct.unpack(">BxI", answer.read(6))
    answer.read(length)
    return int(kind)


def test_an_eviction_is_audited_and_does_not_fill_the_trail(patient_site: Site) -> None:
    with crowd(patient_site, SILENT):
        assert_let_in(patient_site, ELSEWHERE)
    assert patient_site.listener.wait_idle(60)
    patient_site.listener.close()
    rows = patient_site.rejections()
    assert 1 < len(rows) < 50
    assert {address for _, address, _ in rows} == {LOOPBACK}
    assert sum(int(detail.get("count", 1)) for _, _, detail in rows) >= SILENT - ROOM_PER_ADDRESS


def test_one_address_cannot_take_all_associations(database: Database, tmp_path: Path) -> None:
    config = DimseConfig(max_associations=10, max_associations_per_address=3)
    with (
        open_site(database, MemoryBackend(), tmp_path, config) as site,
        ExitStack() as associations,
    ):
        for _ in range(3):
            associations.enter_context(Association.request(site.address, SETTINGS))
        with pytest.raises(AssociationRejected) as rejected:
            Association.request(site.address, SETTINGS)
        assert rejected.value.transient
        assert_let_in(site, ELSEWHERE)
        ((peer, address, detail),) = site.rejections()
        assert (peer, address) == ("TESTS", LOOPBACK)
        assert "dimse.max_associations_per_address" in str(detail["reason"])


def test_a_connection_too_many_is_closed_and_audited(
    patient_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPARE_CONNECTIONS", -10)
    with socket.create_connection(patient_site.address, 60) as unlucky:
        assert unlucky.recv(1) == b""
    ((_, address, detail),) = patient_site.rejections()
    assert (address, detail["reason"]) == (LOOPBACK, "too many connections")


def test_a_thread_that_does_not_start_costs_one_connection(
    patient_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with socket.create_connection(patient_site.address) as unlucky:
            unlucky.settimeout(60)
            assert unlucky.recv(1) == b""
    assert patient_site.listener.wait_idle(60)
    assert "can't start new thread" in caplog.text
    assert_let_in(patient_site, LOOPBACK)
    assert patient_site.listener.wait_idle(60)


def test_who_has_released_is_no_load_though_the_connection_is_open(patient_site: Site) -> None:
    listener = patient_site.listener
    with (
        Association.request(patient_site.address, SETTINGS) as working,
        socket.create_connection(patient_site.address, 60) as sock,
    ):
        sock.sendall(encode_request(make_request(SETTINGS)) + ReleaseRequest().encode())
        with listener._changed:
            assert listener._changed.wait_for(
                lambda: (listener.load, listener.open_connections) == (1, 2), 30
            )
        working.release()
    assert listener.wait_idle(60)
    assert listener.load == 0
