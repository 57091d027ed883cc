"""The port itself: who is let in, what is no DICOM, and how it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from storage_backends.memory import MemoryBackend
from tests import samples
from tests.scp.site import PATIENCE, Site, associate, open_site
from tests.scp.test_storage import CONTEXTS, large_sample, sample, send
from vna.config import DimseConfig
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.errors import AssociationEnded, AssociationRejected
from vna.dimse.settings import RequestorSettings
from vna.index.database import Database
from vna.scp.policy import VERIFICATION
from vna.spool import Spool, SpoolWriter

ECHO = (VERIFICATION, (samples.IMPLICIT,))
ABORT = 7


def request(site: Site, calling: str = "TESTS", called: str = "VNA") -> Association:
    settings = RequestorSettings(calling, called, CONTEXTS, timeouts=PATIENCE)
    return Association.request(site.address, settings)


def test_an_echo_is_answered(site: Site) -> None:
    with associate(site, ECHO) as association:
        assert [scu.echo(association).status for _ in range(3)] == [0, 0, 0]
    assert site.listener.wait_idle(30)


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http"),
        pytest.param(bytes.fromhex("16030102000100"), id="tls"),
        pytest.param(b"\x99" * 500, id="an unknown PDU type"),
        pytest.param(b"\x00", id="a zero"),
    ],
)
def test_strangers_are_aborted_and_closed_at_once(site: Site, garbage: bytes) -> None:
    with socket.create_connection(site.address) as stranger:
        stranger.sendall(garbage)
        assert read_to_end(stranger) == bytes((ABORT, 0, 0, 0, 0, 4, 0, 0, 2, 1))
    assert site.listener.wait_idle(30)
    with associate(site, ECHO) as association:
        assert scu.echo(association).status == 0


@pytest.mark.parametrize(
    "pdu",
    [
        pytest.param(b"\x01\x00\xff\xff\xff\xff" + bytes(64), id="4 GiB of an A-ASSOCIATE-RQ"),
        pytest.param(b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03", id="data at first"),
        pytest.param(b"\x01\x00\x00\x00\x00\x04abcd", id="a short A-ASSOCIATE-RQ"),
        pytest.param(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00", id="a release at first"),
    ],
)
def test_broken_openings_are_aborted_and_the_next_is_served(site: Site, pdu: bytes) -> None:
    with socket.create_connection(site.address) as stranger:
        stranger.sendall(pdu)
        stranger.settimeout(60)
        assert stranger.recv(1) == bytes((ABORT,))
    with associate(site, ECHO) as association:
        assert scu.echo(association).status == 0


def test_a_peer_that_says_nothing_is_forgotten(database: Database, tmp_path: Path) -> None:
    config = DimseConfig(artim_timeout=0.2)
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        with socket.create_connection(site.address) as silent:
            assert read_to_end(silent) == b""
        assert site.listener.wait_idle(30)


def read_to_end(sock: socket.socket) -> bytes:
    sock.settimeout(60)
    data = b""
    while chunk := sock.recv(4096):
        data += chunk
    return data


def test_an_idle_peer_is_aborted(database: Database, tmp_path: Path) -> None:
    config = DimseConfig(idle_timeout=0.2)
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        with request(site) as association, pytest.raises(AssociationEnded):
            association.receive()
        assert site.listener.wait_idle(30)


def test_associations_beyond_the_limit_are_rejected_for_now(
    database: Database, tmp_path: Path
) -> None:
    config = DimseConfig(max_associations=2)
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        with request(site) as first, request(site) as second:
            with pytest.raises(AssociationRejected) as rejected:
                request(site)
            error = rejected.value
            assert (error.result, error.source, error.reason) == (2, 3, 2)
            assert error.transient
            assert scu.echo(first).status == 0
            first.release()
            second.release()
        assert site.listener.wait_idle(30)
        with associate(site, ECHO) as association:
            assert scu.echo(association).status == 0


def test_only_known_callers_come_in(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = DimseConfig(known_ae_titles=("MODALITY",))
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        with associate(site, ECHO, calling="MODALITY") as association:
            assert scu.echo(association).status == 0
        with pytest.raises(AssociationRejected) as rejected:
            request(site, calling="STRANGER")
        error = rejected.value
        assert (error.result, error.source, error.reason) == (1, 1, 3)
    assert "dimse.known_ae_titles" in caplog.text


def test_any_caller_comes_in_where_that_is_allowed(database: Database, tmp_path: Path) -> None:
    config = DimseConfig(known_ae_titles=("MODALITY",), allow_any_ae=True)
    with (
        open_site(database, MemoryBackend(), tmp_path, config) as site,
        associate(site, ECHO, calling="STRANGER") as association,
    ):
        assert scu.echo(association).status == 0


@pytest.mark.parametrize("is_checked", [True, False])
def test_the_called_ae_title_is_checked_when_configured(
    database: Database, tmp_path: Path, is_checked: bool
) -> None:
    config = replace(DimseConfig(), check_called_ae_title=is_checked)
    with open_site(database, MemoryBackend(), tmp_path, config) as site:
        if not is_checked:
            request(site, called="OTHER").release()
            return
        with pytest.raises(AssociationRejected) as rejected:
            request(site, called="OTHER")
        assert (rejected.value.result, rejected.value.reason) == (1, 7)


def test_an_unknown_abstract_syntax_is_refused_alone(site: Site) -> None:
    worklist = "1.2.840.10008.5.1.4.31"
    with associate(site, ECHO, (worklist, (samples.IMPLICIT,))) as association:
        assert list(association.refused_contexts.values()) == [3]
        assert scu.echo(association).status == 0


def test_a_response_to_nothing_ends_the_association(site: Site) -> None:
    with request(site) as association:
        response = Command(
            CommandField.C_ECHO_RSP,
            message_id_being_responded_to=7,
            affected_sop_class_uid=VERIFICATION,
            status=0,
        )
        association.send(association.context_for(VERIFICATION).id, response)
        with pytest.raises(AssociationEnded):
            association.receive()
    assert site.listener.wait_idle(30)


def test_an_operation_of_no_service_is_unrecognized(site: Site) -> None:
    with associate(site, ECHO) as association:
        command = Command(
            CommandField.N_ACTION_RQ,
            message_id=association.next_message_id(),
            requested_sop_class_uid=VERIFICATION,
            requested_sop_instance_uid="1.2.3",
            action_type_id=1,
        )
        association.send(association.context_for(VERIFICATION).id, command)
        response = association.wait_response(command.message_id or 0).command
        assert response.status == 0x0211
        assert response.command_field == CommandField.N_ACTION_RSP
        assert scu.echo(association).status == 0


def test_log_lines_name_the_association_and_no_patient(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with associate(site, *CONTEXTS) as association:
        send(association, sample(PatientName="Secret^Name", PatientID="SECRET-ID"))
        refused = sample(PatientName="Secret^Name", PatientID="SECRET-ID")
        send(association, replace(refused, sop_instance_uid="1.2.3"))
    assert site.listener.wait_idle(30)
    records = [record for record in caplog.records if record.name.startswith("vna.scp")]
    fields = [vars(record) for record in records]
    assert {record["association"] for record in fields if "association" in record}
    (ended,) = [f for f in fields if f["msg"] == "association ended"]
    assert (ended["storage"], ended["storage_failed"], ended["peer"]) == (2, 1, "TESTS")
    assert all("secret" not in str(record).lower() for record in fields)


def test_draining_ends_idle_associations_and_refuses_new_ones(site: Site) -> None:
    with request(site) as idle:
        assert site.listener.drain(30)
        with pytest.raises(AssociationEnded):
            idle.receive()
    with pytest.raises(AssociationEnded):
        request(site)


class WatchedSpool:
    """A spool that tells when the first object begins to arrive."""

    def __init__(self, inner: Spool) -> None:
        self.is_in_use = threading.Event()
        self._inner = inner

    def open(self) -> SpoolWriter:
        """A writer of the real spool."""
        self.is_in_use.set()
        return self._inner.open()


def test_draining_finishes_what_is_being_stored(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, go_on = large_sample(), threading.Event()
    spool = WatchedSpool(site.door.store.spool)
    monkeypatch.setattr(site.door.store, "spool", spool)

    def slowly() -> Iterator[bytes]:
        yield item.dataset[:-1000]
        assert go_on.wait(30)
        yield item.dataset[-1000:]

    statuses: list[int | None] = []
    with request(site) as association:
        storing = threading.Thread(
            target=lambda: statuses.append(send(association, item, slowly()).status)
        )
        storing.start()
        assert spool.is_in_use.wait(30)
        assert not site.listener.drain(0)
        go_on.set()
        storing.join(30)
        assert site.listener.wait_idle(30)
    assert statuses == [0]
    assert site.dataset(item.sop_instance_uid) == item.dataset


def test_interrupting_cuts_every_connection(site: Site) -> None:
    with request(site) as association:
        site.listener.interrupt()
        assert site.listener.wait_idle(30)
        with pytest.raises(AssociationEnded):
            association.receive()
