"""C-GET by peers that hold up: cancel, pending responses, silence; and peers that take several at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.scp.site import Site, associate, open_site, store_response
from tests.scp.test_get import (
    CT,
    EXPLICIT,
    GET,
    STUDY,
    counters_of,
    get,
    keep,
    receive_contexts,
)
from vna.config import DimseConfig
from vna.dimse import handshake, opening
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.errors import AssociationEnded
from vna.dimse.message import Message
from vna.dimse.pdu import AssociateRequest
from vna.dimse.settings import RequestorSettings
from vna.errors import Unavailable
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import StoredInstance
from vna.scp import feed
from vna.scp.read_ahead import FIRST_ONES

TOTAL = 5
ECHO = "1.2.840.10008.1.1"


@contextmanager
def site_with(database: Database, directory: Path, config: DimseConfig) -> Iterator[Site]:
    backend = FilesystemBackend(directory / "store")
    with open_site(database, backend, directory, config) as running:
        keep_total(running)
        yield running
    backend.close()


def keep_total(site: Site) -> None:
    keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in range(1, TOTAL + 1)])


@contextmanager
def getting(site: Site) -> Iterator[Association]:
    """A C-GET of the study with message id 1 under way."""
    contexts, roles = receive_contexts([(CT, (EXPLICIT,))])
    with associate(site, *contexts, (ECHO, (EXPLICIT,)), roles=roles) as peer:
        command = Command(
            CommandField.C_GET_RQ, message_id=1, priority=0, affected_sop_class_uid=GET
        )
        peer.send(peer.context_for(GET).id, command, samples.dataset({**STUDY}))
        yield peer


def next_of(peer: Association, field: CommandField) -> Message:
    """The next message of that kind; the dataset of others is left alone."""
    while True:
        message = peer.receive()
        assert message is not None
        if message.command.command_field == field:
            return message


def answer(peer: Association, request: Message) -> None:
    for _ in request.fragments():
        pass
    peer.send(request.context.id, store_response(request.command, 0))


def cancel(peer: Association) -> None:
    command = Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=1)
    peer.send(peer.context_for(GET).id, command)


def final_of(peer: Association) -> Command:
    while True:
        message = next_of(peer, CommandField.C_GET_RSP)
        if message.command.status != 0xFF00:
            return message.command


@pytest.mark.parametrize("answered", [0, 2, TOTAL - 1])
def test_a_cancel_is_answered_before_the_peer_answers_what_is_under_way(
    site: Site, answered: int
) -> None:
    keep_total(site)
    with getting(site) as peer:
        for _ in range(answered):
            answer(peer, next_of(peer, CommandField.C_STORE_RQ))
        held = next_of(peer, CommandField.C_STORE_RQ)
        for _ in held.fragments():
            pass
        cancel(peer)
        final = final_of(peer)
        assert final.status == 0xFE00
        assert counters_of(final) == (TOTAL - answered - 1, answered, 1, 0)
        answer(peer, held)  # too late, and no harm
        peer.send(
            peer.context_for(ECHO).id,
            Command(CommandField.C_ECHO_RQ, message_id=7, affected_sop_class_uid=ECHO),
        )
        assert next_of(peer, CommandField.C_ECHO_RSP).command.status == 0


def test_pending_responses_go_on_while_the_peer_keeps_an_answer_back(
    database: Database, tmp_path: Path
) -> None:
    with (
        site_with(database, tmp_path, DimseConfig(pending_interval=0.01)) as site,
        getting(site) as peer,
    ):
        held = next_of(peer, CommandField.C_STORE_RQ)
        for _ in held.fragments():
            pass
        for _ in range(10):
            pending = next_of(peer, CommandField.C_GET_RSP).command
            assert pending.status == 0xFF00
            assert counters_of(pending) == (TOTAL, 0, 0, 0)
        answer(peer, held)
        for _ in range(TOTAL - 1):
            answer(peer, next_of(peer, CommandField.C_STORE_RQ))
        assert counters_of(final_of(peer)) == (None, TOTAL, 0, 0)


def test_a_peer_that_never_answers_is_cut_off(database: Database, tmp_path: Path) -> None:
    with (
        site_with(database, tmp_path, DimseConfig(idle_timeout=0.5)) as site,
        getting(site) as peer,
        pytest.raises(AssociationEnded),
    ):
        while True:
            next_of(peer, CommandField.C_GET_RSP)


def test_as_many_are_under_way_as_the_peer_performs_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proposal(settings: RequestorSettings) -> AssociateRequest:
        request = handshake.make_request(settings)
        return replace(request, user=replace(request.user, asynchronous_operations=(1, 3)))

    keep_total(site)
    monkeypatch.setattr(opening, "make_request", proposal)
    with getting(site) as peer:
        held = []
        for _ in range(3):
            held.append(next_of(peer, CommandField.C_STORE_RQ))
            for _ in held[-1].fragments():
                pass
        for request in reversed(held):
            answer(peer, request)
        for _ in range(TOTAL - 3):
            answer(peer, next_of(peer, CommandField.C_STORE_RQ))
        assert counters_of(final_of(peer)) == (None, TOTAL, 0, 0)
    assert len({request.command.message_id for request in held}) == 3


def test_instances_are_loaded_page_by_page_in_order(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 2)
    keep_total(site)
    seen = []
    with getting(site) as peer:
        for _ in range(TOTAL):
            request = next_of(peer, CommandField.C_STORE_RQ)
            seen.append(request.command.affected_sop_instance_uid)
            answer(peer, request)
        assert counters_of(final_of(peer)) == (None, TOTAL, 0, 0)
    assert seen == [f"1.2.3.{n}" for n in range(1, TOTAL + 1)]


def test_what_goes_from_the_index_meanwhile_has_failed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_total(site)
    chosen = site.door.retrieve.choose(Selection(study_instance_uids=("1.2",)))
    chosen.ids[1], chosen.ids[3] = -1, -2
    monkeypatch.setattr(site.door.retrieve, "choose", lambda _: chosen)
    with getting(site) as peer:
        for _ in range(TOTAL - 2):
            answer(peer, next_of(peer, CommandField.C_STORE_RQ))
        final = final_of(peer)
    assert final.status == 0xB000
    assert counters_of(final) == (None, TOTAL - 2, 2, 0)


def test_a_database_that_goes_away_fails_the_rest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE", 2)
    keep_total(site)
    load = site.door.retrieve.load
    pages = iter([load])

    def failing(ids: object) -> object:
        try:
            return next(pages)(ids)  # type: ignore[arg-type]
        except StopIteration:
            raise Unavailable("the database does not answer") from None

    monkeypatch.setattr(site.door.retrieve, "load", failing)
    with getting(site) as peer:
        for _ in range(2):
            answer(peer, next_of(peer, CommandField.C_STORE_RQ))
        final = final_of(peer)
    assert final.status == 0xB000
    assert counters_of(final) == (None, 2, TOTAL - 2, 0)


def test_after_the_first_ones_a_thread_reads_ahead(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[str] = []
    load_dataset = site.door.retrieve.load_dataset

    def watched(instance: StoredInstance) -> memoryview:
        readers.append(threading.current_thread().name)
        return load_dataset(instance)

    monkeypatch.setattr(site.door.retrieve, "load_dataset", watched)
    sent = keep(site, [(CT, EXPLICIT, f"1.2.3.{n}") for n in range(1, 20)])
    received = {}
    with getting(site) as peer:
        for _ in sent:
            request = next_of(peer, CommandField.C_STORE_RQ)
            data = request.read_data(2**20)
            received[request.command.affected_sop_instance_uid] = data
            answer(peer, request)
        assert counters_of(final_of(peer)) == (None, len(sent), 0, 0)
    assert received == sent
    assert "read-ahead" not in readers[:FIRST_ONES]
    assert set(readers[FIRST_ONES:]) == {"read-ahead"}


@pytest.mark.parametrize("syntax", [EXPLICIT, samples.IMPLICIT])
def test_a_damaged_object_is_not_sent_nor_converted(
    site: Site, tmp_path: Path, syntax: str
) -> None:
    keep(site, [(CT, EXPLICIT, "1.2.3.1"), (CT, EXPLICIT, "1.2.3.2")])
    (damaged,) = site.stored("1.2.3.1")
    name = damaged.location.key.rpartition("/")[2]
    (path,) = (tmp_path / "store").rglob(name)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    taken = get(site, STUDY, [(CT, (syntax,))])
    assert taken.final.status == 0xB000
    assert taken.counters == (None, 1, 1, 0)
    assert taken.failed_uids == ["1.2.3.1"]
    assert list(taken.instances) == ["1.2.3.2"]
