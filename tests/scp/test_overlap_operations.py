"""C-FIND, C-GET and C-CANCEL among overlapping C-STOREs (PS3.7 D.3.3.3, 9.3.2.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests import samples
from tests.scp.raw_peer import ABORT, RELEASE_RP, RawPeer
from tests.scp.site import Site, store_response
from tests.scp.test_overlap import DEADLINE, gated, pipelining, sample, send_all, statuses
from vna.dimse.command import Command, CommandField
from vna.dimse.commitment_scu import PUSH_MODEL_INSTANCE
from vna.dimse.negotiation import RoleSelection
from vna.index.database import Database
from vna.model.identifiers import Origin
from vna.model.query import Query, Record
from vna.scp.policy import STORAGE_COMMITMENT, VERIFICATION, Model
from vna.services.query import QueryService

FIND, GET = f"{Model.STUDY_ROOT}.1", f"{Model.STUDY_ROOT}.3"
CONTEXTS = (
    (samples.CT_IMAGE, (samples.EXPLICIT,)),
    (FIND, (samples.IMPLICIT,)),
    (GET, (samples.IMPLICIT,)),
    (VERIFICATION, (samples.IMPLICIT,)),
)
STORE_ID, FIND_ID, GET_ID, ECHO_ID = 1, 3, 5, 7
KEYS = samples.dataset({"QueryRetrieveLevel": "STUDY", "PatientID": "OVERLAP"}, samples.IMPLICIT)
STUDY = "1.2.77"


def find_request(message_id: int) -> Command:
    return Command(
        CommandField.C_FIND_RQ, message_id=message_id, priority=0, affected_sop_class_uid=FIND
    )


def cancel(message_id: int) -> Command:
    return Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=message_id)


def echo_request(message_id: int) -> Command:
    return Command(
        CommandField.C_ECHO_RQ, message_id=message_id, affected_sop_class_uid=VERIFICATION
    )


Find = Callable[[QueryService, Query, Origin], Iterable[Record]]


def endlessly(find: Find) -> Find:
    """A query that finds the same again and again, for ever."""

    def again(service: QueryService, query: Query, origin: Origin) -> Iterator[Record]:
        yield from cycle(list(find(service, query, origin)))

    return again


def keep_one(site: Site) -> None:
    with pipelining(site) as association:
        item = sample(PatientID="OVERLAP", StudyInstanceUID=STUDY)
        assert statuses(send_all(association, [item])) == [0]


@pytest.fixture
def endless(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with one study that a query finds again and again."""
    keep_one(site)
    monkeypatch.setattr(QueryService, "find", endlessly(QueryService.find))
    return site


def final(peer: RawPeer, message_id: int) -> int | None:
    """The status of the final response to this request; others may come before."""
    while True:
        command, _ = peer.response()
        if command.message_id_being_responded_to == message_id and command.status != 0xFF00:
            return command.status


def test_a_query_sees_what_was_sent_before_it(database: Database, tmp_path: Path) -> None:
    items = [sample(PatientID="OVERLAP", StudyInstanceUID=STUDY) for _ in range(4)]
    gate = threading.Event()

    def hold(_: int) -> None:
        assert gate.wait(DEADLINE)

    with gated(database, tmp_path) as (site, backend), RawPeer(site, CONTEXTS) as peer:
        backend.on_put = hold
        for number, item in enumerate(items):
            peer.store(number, item.sop_instance_uid, item.dataset)
        peer.message(FIND_ID, find_request(90), KEYS)
        peer.message(ECHO_ID, echo_request(91))
        assert peer.response()[0].message_id_being_responded_to == 91  # overtakes all of them
        gate.set()
        assert peer.statuses(4) == dict.fromkeys(range(4), 0)
        assert [peer.response()[0].status for _ in range(2)] == [0xFF00, 0]
        peer.release()


def test_a_query_is_cancelled_behind_a_large_instance(endless: Site) -> None:
    large = sample(PixelData=bytes(3000 * 3000), **samples.image(3000, 3000))
    answered: dict[int | None, int | None] = {}
    with RawPeer(endless, CONTEXTS) as peer:
        peer.message(FIND_ID, find_request(1), KEYS)
        assert peer.response()[0].status == 0xFF00

        def send() -> None:
            peer.store(2, large.sop_instance_uid, large.dataset)
            peer.message(FIND_ID, cancel(1))

        sender = threading.Thread(target=send)
        sender.start()
        while len(answered) < 2:
            command, _ = peer.response()
            if command.status != 0xFF00:
                answered[command.message_id_being_responded_to] = command.status
        assert answered == {1: 0xFE00, 2: 0}
        sender.join(DEADLINE)
        peer.release()
    assert endless.dataset(large.sop_instance_uid) == large.dataset


def test_only_the_operation_that_is_cancelled_ends(endless: Site) -> None:
    with RawPeer(endless, CONTEXTS) as peer:
        for number in (1, 2):
            peer.message(FIND_ID, find_request(number), KEYS)
        peer.message(FIND_ID, cancel(1))
        assert final(peer, 1) == 0xFE00
        for _ in range(20):
            command, _ = peer.response()
            assert (command.message_id_being_responded_to, command.status) == (2, 0xFF00)
        peer.message(FIND_ID, cancel(2))
        assert final(peer, 2) == 0xFE00
        peer.release()


def test_a_release_cancels_the_query_under_way(endless: Site) -> None:
    with RawPeer(endless, CONTEXTS) as peer:
        peer.message(FIND_ID, find_request(1), KEYS)
        assert peer.response()[0].status == 0xFF00
        peer.ask_release()
        assert final(peer, 1) == 0xFE00
        assert peer.pdu()[0] == RELEASE_RP


def test_a_peer_that_vanishes_ends_its_query(endless: Site) -> None:
    with RawPeer(endless, CONTEXTS) as peer:
        peer.message(FIND_ID, find_request(1), KEYS)
        assert peer.response()[0].status == 0xFF00
    assert endless.listener.wait_idle(DEADLINE)


def test_an_interrupt_ends_a_query_whose_responses_nobody_takes(endless: Site) -> None:
    with RawPeer(endless, CONTEXTS) as peer:
        peer.message(FIND_ID, find_request(1), KEYS)
        assert peer.response()[0].status == 0xFF00
        endless.listener.interrupt()
        assert endless.listener.wait_idle(DEADLINE)


def test_a_peer_that_takes_no_responses_is_cut_off_in_time(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gated(database, tmp_path, message_timeout=1.0) as (site, _):
        keep_one(site)
        monkeypatch.setattr(QueryService, "find", endlessly(QueryService.find))
        with RawPeer(site, CONTEXTS) as peer:
            peer.message(FIND_ID, find_request(1), KEYS)
            assert site.listener.wait_idle(DEADLINE)


def test_more_operations_than_negotiated_are_refused(endless: Site) -> None:
    with RawPeer(endless, CONTEXTS, window=(2, 1)) as peer:
        for number in (1, 2, 3):
            peer.message(FIND_ID, find_request(number), KEYS)
        assert final(peer, 3) == 0xA700
        for number in (1, 2):
            peer.message(FIND_ID, cancel(number))
            assert final(peer, number) == 0xFE00
        peer.release()


def test_an_identifier_that_is_too_long_is_refused_and_the_association_lives_on(
    endless: Site,
) -> None:
    with RawPeer(endless, CONTEXTS) as peer:
        peer.message(FIND_ID, find_request(1), bytes(2**20 + 2))
        assert (final(peer, 1) or 0) & 0xF000 == 0xC000
        peer.message(ECHO_ID, echo_request(2))
        assert final(peer, 2) == 0
        peer.release()


def get_request(message_id: int) -> Command:
    return Command(
        CommandField.C_GET_RQ, message_id=message_id, priority=0, affected_sop_class_uid=GET
    )


def getting(site: Site) -> RawPeer:
    role = RoleSelection(samples.CT_IMAGE, scu=True, scp=True)
    return RawPeer(site, CONTEXTS, roles=(role,))


def test_an_association_gets_while_it_stores(site: Site) -> None:
    """Sub-operations are answered late and in reverse; a C-STORE of the peer runs among them."""
    kept = [sample(StudyInstanceUID=STUDY) for _ in range(3)]
    with pipelining(site) as association:
        assert statuses(send_all(association, kept)) == [0] * 3
    keys = samples.dataset(
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}, samples.IMPLICIT
    )
    new = sample()
    received: list[tuple[Command, bytes]] = []
    others: dict[int | None, int | None] = {}
    with getting(site) as peer:
        peer.message(GET_ID, get_request(1), keys)
        peer.store(2, new.sop_instance_uid, new.dataset)
        while len(received) < 3 or 2 not in others:
            command, data = peer.response()
            if command.command_field == CommandField.C_STORE_RQ:
                received.append((command, data))
            elif command.status != 0xFF00:
                others[command.message_id_being_responded_to] = command.status
        assert others == {2: 0}
        for command, _ in reversed(received):
            peer.message(STORE_ID, store_response(command, 0))
        assert final(peer, 1) == 0
        peer.release()
    assert {command.affected_sop_instance_uid: data for command, data in received} == {
        item.sop_instance_uid: item.dataset for item in kept
    }
    assert site.dataset(new.sop_instance_uid) == new.dataset


@pytest.mark.parametrize("how", ["abort", "vanish", "release", "response to nothing"])
def test_a_get_ends_when_its_sub_operations_are_never_answered(site: Site, how: str) -> None:
    with pipelining(site) as association:
        kept = [sample(StudyInstanceUID=STUDY) for _ in range(3)]
        assert statuses(send_all(association, kept)) == [0] * 3
    keys = samples.dataset(
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}, samples.IMPLICIT
    )
    with getting(site) as peer:
        peer.message(GET_ID, get_request(1), keys)
        command, _ = peer.response()
        while command.command_field != CommandField.C_STORE_RQ:
            command, _ = peer.response()
        if how == "abort":
            peer.send(bytes.fromhex("07000000000400000000"))
        elif how == "release":
            peer.ask_release()
        elif how == "response to nothing":
            nothing = Command(0x8001, message_id_being_responded_to=9999, status=0)
            peer.message(STORE_ID, nothing)
            while peer.pdu()[0] not in {ABORT, 0}:
                pass
    assert site.listener.wait_idle(DEADLINE)


def test_a_commitment_covers_what_was_sent_before_it(database: Database, tmp_path: Path) -> None:
    """Asked for while the stores are under way, reported on the same association."""
    items = [sample() for _ in range(4)]
    references: list[samples.Value] = [
        {"ReferencedSOPClassUID": samples.CT_IMAGE, "ReferencedSOPInstanceUID": uid}
        for uid in (item.sop_instance_uid for item in items)
    ]
    keys: dict[str, samples.Value] = {
        "TransactionUID": samples.new_uid(),
        "ReferencedSOPSequence": references,
    }
    action = Command(
        CommandField.N_ACTION_RQ,
        message_id=50,
        requested_sop_class_uid=STORAGE_COMMITMENT,
        requested_sop_instance_uid=PUSH_MODEL_INSTANCE,
        action_type_id=1,
    )
    contexts = (CONTEXTS[0], (STORAGE_COMMITMENT, (samples.EXPLICIT,)))
    gate = threading.Event()

    def hold(_: int) -> None:
        assert gate.wait(DEADLINE)

    with gated(database, tmp_path) as (site, backend), RawPeer(site, contexts) as peer:
        backend.on_put = hold
        for number, item in enumerate(items):
            peer.store(number, item.sop_instance_uid, item.dataset)
        peer.message(3, action, samples.dataset(keys))
        gate.set()
        assert peer.statuses(4) == dict.fromkeys(range(4), 0)
        assert peer.statuses(1) == {50: 0}
        report, _ = peer.response()
        assert (report.command_field, report.event_type_id) == (CommandField.N_EVENT_REPORT_RQ, 1)
        peer.message(3, store_response(report, 0))
        peer.release()
