"""Peers that send or take their bytes one by one are cut off; nothing here depends on how fast."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest

from storage_backends.memory import MemoryBackend
from tests.scp.site import PATIENCE, Site, associate, open_site
from tests.scp.test_storage import CONTEXTS, large_sample, send
from vna.config import DimseConfig
from vna.dimse.associate import encode_request
from vna.dimse.command import Command, CommandField, encode_command
from vna.dimse.fragments import message_pdus
from vna.dimse.handshake import make_request
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database
from vna.scp.policy import VERIFICATION

IMPATIENT = DimseConfig(message_timeout=0.5, slowest_rate=2**40, artim_timeout=2)
"""No rate is fast enough: half a second of waiting within a message is the end, and ARTIM ends whoever goes on then."""


def dialled(
    site: Site, contexts: tuple[tuple[str, tuple[str, ...]], ...] = CONTEXTS
) -> socket.socket:
    """A bare connection on which an association has been accepted."""
    sock = socket.create_connection(site.address, timeout=60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    settings = RequestorSettings("SLOW", "VNA", contexts, timeouts=PATIENCE)
    sock.sendall(encode_request(make_request(settings)))
    head = sock.recv(6, socket.MSG_WAITALL)
    assert head[0] == 2
    sock.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)
    return sock


def drip(sock: socket.socket, data: bytes) -> None:
    """Send byte after byte, over and over, until the other side has had enough."""
    try:
        for byte in itertools.cycle(data):
            sock.sendall(bytes((byte,)))
    except ConnectionError:
        return


def encoded(context_id: int, command: Command, *, has_data: bool = False) -> bytes:
    """The P-DATA-TF of a command set."""
    pdus = message_pdus(context_id, encode_command(command, has_data=has_data), None, 16384)
    return b"".join(bytes(part) for unit in pdus for part in unit)


STORE = Command(
    CommandField.C_STORE_RQ,
    message_id=1,
    priority=0,
    affected_sop_class_uid=CONTEXTS[0][0],
    affected_sop_instance_uid="1.2.3",
)
ECHO = Command(CommandField.C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION)


@pytest.mark.parametrize("what", ["a command", "a dataset"])
def test_a_peer_that_drips_is_cut_off(database: Database, tmp_path: Path, what: str) -> None:
    with open_site(database, MemoryBackend(), tmp_path, IMPATIENT) as site, dialled(site) as sock:
        if what == "a dataset":
            sock.sendall(encoded(1, STORE, has_data=True))
        drip(sock, b"\x04\x00\x00\x00\x10\x06\x00\x00\x10\x02\x01\x00" + bytes(4096))
        assert site.listener.wait_idle(60)
        assert not site.spooled_files()


def test_a_dripping_request_ends_with_artim(database: Database, tmp_path: Path) -> None:
    config = DimseConfig(artim_timeout=0.5)
    with (
        open_site(database, MemoryBackend(), tmp_path, config) as site,
        socket.create_connection(site.address) as sock,
    ):
        drip(sock, b"\x01\x00\x00\x0f\xff\xff" + bytes(2**20))
        assert site.listener.wait_idle(60)


def test_a_peer_that_does_not_read_is_cut_off(database: Database, tmp_path: Path) -> None:
    with open_site(database, MemoryBackend(), tmp_path, IMPATIENT) as site, dialled(site) as deaf:
        requests = encoded(3, ECHO) * 1000
        with pytest.raises(ConnectionError):
            while True:
                deaf.sendall(requests)
        assert site.listener.wait_idle(60)


def test_a_peer_that_keeps_the_pace_may_take_its_time(database: Database, tmp_path: Path) -> None:
    """Each byte gives back more patience than waiting for it costs, however slow the machine."""
    config = DimseConfig(message_timeout=60, slowest_rate=1)
    item = large_sample()
    with (
        open_site(database, MemoryBackend(), tmp_path, config) as site,
        associate(site, *CONTEXTS) as association,
    ):
        pieces = (item.dataset[i : i + 1000] for i in range(0, len(item.dataset), 1000))
        assert send(association, item, pieces).status == 0
        assert site.dataset(item.sop_instance_uid) == item.dataset
