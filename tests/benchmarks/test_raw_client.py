"""The client of the benchmarks against the real door: it sends what it says, and counts what came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.benchmarks import objects, raw_pdus, raw_sink
from tests.benchmarks.peer_tasks import FIND, GET, MOVE, identifier
from tests.benchmarks.raw_client import Load, Template, numbered_uid, run_load
from tests.benchmarks.raw_pdus import PduReader
from tests.benchmarks.raw_requests import RawAssociation
from tests.scp.site import LOOPBACK, Site, open_site
from vna.config import DestinationConfig
from vna.index.database import Database

COUNT = 6


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Site]:
    backend = FilesystemBackend(tmp_path / "store")
    with open_site(database, backend, tmp_path) as running:
        yield running
    backend.close()


@pytest.fixture
def sink(site: Site) -> Iterator[None]:
    """A C-MOVE destination that takes one association."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=lambda: raw_sink.take(listener.accept()[0]))
        thread.start()
        port = listener.getsockname()[1]
        site.destinations[raw_sink.AE_TITLE] = DestinationConfig(LOOPBACK, port)
        yield
        thread.join()


def values(association: int, number: int) -> Sequence[str]:
    uids = (numbered_uid(100 * association + number), numbered_uid(1, 2), numbered_uid(1, 3))
    return (*uids, objects.patient_id(1), "20240131")


def stored(site: Site, item: objects.BenchObject, associations: int = 2) -> None:
    load = Load(item.dataset, item.sop_class_uid, COUNT, associations, 0, objects.FIELDS, values)
    assert run_load(site.address, load).succeeded == COUNT


def association(site: Site, sop_class: str, *others: str) -> RawAssociation:
    contexts = [(sop_class, samples.IMPLICIT), *((uid, samples.EXPLICIT) for uid in others)]
    return RawAssociation(site.address, raw_pdus.associate_request(contexts, "VNA", others))


def series_identifier() -> bytes:
    uids = {"StudyInstanceUID": numbered_uid(1, 2), "SeriesInstanceUID": numbered_uid(1, 3)}
    return identifier("SERIES", (), **uids)


@pytest.mark.parametrize(
    "item", [objects.small(), objects.tiny(), objects.ct()], ids=lambda i: i.title
)
def test_every_instance_is_stored_with_the_values_written_into_it(
    site: Site, item: objects.BenchObject
) -> None:
    stored(site, item)
    uid = numbered_uid(102)
    expected = item.dataset
    for field, value in zip(objects.FIELDS, values(1, 2), strict=True):
        expected = expected.replace(field.encode(), value.encode())
    assert site.dataset(uid) == expected


def test_searches_count_their_matches(site: Site) -> None:
    stored(site, objects.tiny())
    with association(site, FIND) as asked:
        study = identifier("STUDY", ("StudyInstanceUID",), PatientID=objects.patient_id(1))
        assert asked.find(FIND, study) == 1
        assert asked.find(FIND, identifier("STUDY", (), PatientID="nobody")) == 0
        uids = {"StudyInstanceUID": numbered_uid(1, 2), "SeriesInstanceUID": numbered_uid(1, 3)}
        assert asked.find(FIND, identifier("IMAGE", ("SOPInstanceUID",), **uids)) == COUNT


def test_a_refused_search_is_an_error(site: Site) -> None:
    with association(site, FIND) as asked, pytest.raises(ConnectionError, match="status 0x"):
        asked.find(FIND, identifier("NOSUCHLEVEL", ()))


def test_a_get_counts_what_came_whole(site: Site) -> None:
    stored(site, objects.ct())
    with association(site, GET, samples.CT_IMAGE) as asked:
        assert asked.get(GET, series_identifier()) == COUNT


def test_a_move_counts_what_the_destination_took(site: Site, sink: None) -> None:
    stored(site, objects.small())
    with association(site, MOVE) as asked:
        assert asked.move(MOVE, series_identifier(), raw_sink.AE_TITLE) == COUNT


def test_a_peer_that_goes_away_is_missing_among_the_successes() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:

        def accept_and_leave() -> None:
            connection, _ = listener.accept()
            with connection:
                header = connection.recv(6, socket.MSG_WAITALL)
                body = connection.recv(int.from_bytes(header[2:], "big"), socket.MSG_WAITALL)
                connection.sendall(raw_pdus.associate_accept(body))
                connection.recv(6, socket.MSG_WAITALL)

        thread = threading.Thread(target=accept_and_leave)
        thread.start()
        item = objects.small()
        result = run_load(listener.getsockname(), Load(item.dataset, item.sop_class_uid, 3, 1, 0))
        thread.join()
    assert result.succeeded == 0
    assert len(result.failures) == 1
    assert result.failures[0].startswith("Connection")


def test_a_field_that_does_not_stand_in_the_message_is_refused() -> None:
    item = objects.small()
    with pytest.raises(ValueError, match="does not stand"):
        Template(item.dataset, item.sop_class_uid, 0, (*objects.FIELDS, "NOT-THERE"))


@pytest.mark.parametrize("max_pdu", [0, 4096, 16384])
def test_messages_are_cut_to_the_length_of_the_peer(max_pdu: int) -> None:
    data = bytes(range(256)) * 1000
    left, right = socket.socketpair()
    with left, right:
        message = raw_pdus.message(3, raw_pdus.command({raw_pdus.STATUS: 0}), data, max_pdu)
        sender = threading.Thread(target=left.sendall, args=(message + raw_pdus.pdu(5, bytes(4)),))
        sender.start()
        parts = [(*part[:2], bytes(part[2])) for part in PduReader(right).fragments()]
        sender.join()
        assert left.recv(10, socket.MSG_WAITALL) == raw_pdus.pdu(6, bytes(4))
    assert {context for context, _, _ in parts} == {3}
    assert [control for _, control, _ in parts] == [3, *[0] * (len(parts) - 2), 2]
    assert b"".join(piece for _, _, piece in parts[1:]) == data
    assert max(len(piece) for _, _, piece in parts) <= (max_pdu or raw_pdus.MAX_PDU) - 6
