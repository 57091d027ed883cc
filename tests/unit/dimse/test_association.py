"""Associations between two of ours over a real connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from threading import Event

import pytest

from tests.unit.dimse import values
from tests.unit.dimse.peers import (
    ACCEPTOR,
    REQUESTOR,
    answer_all,
    response,
    serving,
)
from vna.dicom.part10 import IMPLEMENTATION_CLASS_UID
from vna.dimse import scu
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.errors import (
    AssociationAborted,
    AssociationEnded,
    AssociationRejected,
    ConnectionLost,
    DataTooLarge,
    NotAccepted,
    PeerTimeout,
)
from vna.dimse.fragments import Data
from vna.dimse.negotiation import UserIdentity
from vna.dimse.settings import LOCAL_LIMIT_EXCEEDED, TEMPORARY_CONGESTION

CT = scu.Instance(values.CT_STORAGE, "1.2.3.4")


def store(association: Association, data: Data) -> Command:
    return scu.store(association, association.context_for(values.CT_STORAGE), CT, data)


def test_both_sides_know_who_the_other_is() -> None:
    settings = replace(REQUESTOR, user_identity=UserIdentity(1, b"me"), max_pdu_length=16384)

    def handle(association: Association) -> Association:
        answer_all(association)
        return association

    with serving(handle) as server, Association.request(server.address, settings) as ours:
        ours.release()
        theirs = server.result.result(20)
    assert (theirs.calling_ae_title, theirs.called_ae_title) == ("PEER", "VNA")
    assert (theirs.peer_address, theirs.peer_max_pdu_length) == ("127.0.0.1", 16384)
    assert theirs.user_identity == UserIdentity(1, b"me")
    assert theirs.peer_implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert not theirs.is_requestor
    assert ours.is_requestor
    assert ours.peer_max_pdu_length == ACCEPTOR.max_pdu_length
    assert list(ours.contexts) == list(theirs.contexts) == [1, 3, 5, 7, 9]
    assert ours.id != theirs.id
    assert ours.is_over
    assert theirs.is_over


@pytest.mark.parametrize("maximum", [0, 14, 1024, 16384, 262144])
@pytest.mark.parametrize("kind", ["bytes", "reader", "iterable"])
def test_a_dataset_arrives_whole(maximum: int, kind: str) -> None:
    size = 3000 if maximum == 14 else 700_001
    whole = bytes(range(256)) * (size // 256 + 1)
    kinds: dict[str, Data] = {
        "bytes": memoryview(whole),
        "reader": BytesIO(whole),
        "iterable": (whole[start : start + 9999] for start in range(0, len(whole), 9999)),
    }
    settings = replace(ACCEPTOR, max_pdu_length=maximum)
    with serving(answer_all, settings) as server:
        with Association.request(server.address, REQUESTOR) as association:
            assert store(association, kinds[kind]).status == 0
            assert store(association, b"").status == 0
            association.release()
        seen = server.result.result(20)
    assert seen == [("C-STORE-RQ", whole), ("C-STORE-RQ", b"")]


@pytest.mark.parametrize("maximum", [0, 64, 16384])
def test_alike_messages_arrive_one_by_one_and_the_last_behind_them(maximum: int) -> None:
    datasets = [bytes([number]) * 2 * number for number in range(200)]

    def handle(association: Association) -> None:
        message = association.receive()
        assert message is not None
        message.read_data(1000)
        pending, final = (response(message, status) for status in (0xFF00, 0))
        with pytest.raises(NotAccepted):
            association.send_alike(99, pending, datasets, final)
        association.send_alike(message.context.id, pending, ())
        association.send_alike(message.context.id, pending, datasets[:150])
        association.send_alike(message.context.id, pending, datasets[150:], final)
        assert association.receive() is None

    settings = replace(REQUESTOR, max_pdu_length=maximum)
    with serving(handle) as server, Association.request(server.address, settings) as association:
        *pending, final = scu.find(association, values.STUDY_FIND, b"ab")
        association.release()
        server.result.result(20)
    assert [answer.data for answer in pending] == datasets
    assert {answer.command.status for answer in pending} == {0xFF00}
    assert final.command.status == 0


def test_what_is_not_read_is_discarded() -> None:
    def handle(association: Association) -> list[int]:
        taken = []
        while (message := association.receive()) is not None:
            taken.append(len(next(message.fragments(), b"")))
            association.send(message.context.id, response(message))
        return taken

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            for _ in range(3):
                assert store(association, bytes(600_000)).status == 0
            association.release()
        taken = server.result.result(20)
    assert len(taken) == 3
    assert all(0 < size < 600_000 for size in taken)


def test_a_dataset_beyond_the_limit_is_refused_and_the_next_served() -> None:
    def handle(association: Association) -> int:
        message = association.receive()
        assert message is not None
        with pytest.raises(DataTooLarge):
            message.read_data(1000)
        association.send(message.context.id, response(message, 0xA700))
        return len(answer_all(association))

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            assert store(association, bytes(500_000)).status == 0xA700
            assert store(association, bytes(10)).status == 0
            association.release()
        assert server.result.result(20) == 1


@pytest.mark.parametrize("rejection", [LOCAL_LIMIT_EXCEEDED, TEMPORARY_CONGESTION])
def test_a_rejection_reaches_both_sides(rejection: object) -> None:
    settings = replace(ACCEPTOR, admit=lambda *_: rejection)  # type: ignore[arg-type]
    with serving(answer_all, settings) as server:
        with pytest.raises(AssociationRejected) as theirs:
            Association.request(server.address, REQUESTOR)
        with pytest.raises(AssociationRejected) as ours:
            server.result.result(20)
    for caught in (theirs.value, ours.value):
        assert (caught.result, caught.source, caught.reason) == (
            rejection.result,  # type: ignore[attr-defined]
            rejection.source,  # type: ignore[attr-defined]
            rejection.reason,  # type: ignore[attr-defined]
        )
        assert caught.transient


def test_nobody_there_is_a_lost_connection() -> None:
    with serving(answer_all) as server:
        with Association.request(server.address, REQUESTOR) as association:
            association.release()
        server.result.result(20)
        with pytest.raises(ConnectionLost, match="cannot connect"):
            Association.request(server.address, REQUESTOR)


def test_contexts_that_were_not_accepted_are_refused_here() -> None:
    settings = replace(REQUESTOR, contexts=(*REQUESTOR.contexts, ("1.2.3", (values.JPEG,))))
    with serving(answer_all) as server, Association.request(server.address, settings) as ours:
        assert ours.refused_contexts == {11: 3}
        with pytest.raises(NotAccepted):
            ours.context_for("1.2.3")
        with pytest.raises(NotAccepted):
            ours.context_for(values.CT_STORAGE, values.JPEG)
        with pytest.raises(NotAccepted):
            ours.context_for(values.CT_STORAGE, as_scp=True)
        with pytest.raises(NotAccepted):
            ours.send(11, Command(CommandField.C_ECHO_RQ))
        ours.release()


def test_an_abort_of_the_requestor_is_told() -> None:
    with serving(answer_all) as server:
        Association.request(server.address, REQUESTOR).abort()
        with pytest.raises(AssociationAborted) as caught:
            server.result.result(20)
    assert (caught.value.source, caught.value.reason) == (0, 0)


def test_an_abort_inside_a_dataset_is_told() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(600_000)
        raise OSError("the disk is gone")

    with serving(answer_all) as server:
        with Association.request(server.address, REQUESTOR) as association:
            with pytest.raises(OSError, match="disk"):
                store(association, broken())
            assert association.is_over
            with pytest.raises(AssociationEnded):
                scu.echo(association)
        with pytest.raises(AssociationAborted):
            server.result.result(20)


def test_leaving_the_context_without_release_aborts() -> None:
    with serving(answer_all) as server:
        with Association.request(server.address, REQUESTOR):
            pass
        with pytest.raises(AssociationAborted):
            server.result.result(20)


def test_a_silent_peer_is_aborted_after_the_idle_time() -> None:
    settings = replace(ACCEPTOR, timeouts=replace(ACCEPTOR.timeouts, idle=0.05))
    with serving(answer_all, settings) as server:
        with Association.request(server.address, REQUESTOR) as association:
            with pytest.raises(AssociationAborted) as caught:
                association.wait_response(1)
            assert caught.value.source == 2
        with pytest.raises(PeerTimeout):
            server.result.result(20)


def test_a_response_that_never_comes_is_not_awaited_for_ever() -> None:
    settings = replace(REQUESTOR, timeouts=replace(REQUESTOR.timeouts, idle=0.05))

    def handle(association: Association) -> None:
        with pytest.raises(AssociationAborted):
            while association.receive() is not None:
                pass

    with serving(handle) as server:
        with (
            Association.request(server.address, settings) as association,
            pytest.raises(PeerTimeout),
        ):
            scu.echo(association)
        server.result.result(20)


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    settings = replace(REQUESTOR, timeouts=replace(REQUESTOR.timeouts, message=0.05))
    done = Event()

    def handle(association: Association) -> None:
        assert association.receive() is not None
        assert done.wait(20)
        with pytest.raises(ConnectionLost):
            association.receive()

    with serving(handle) as server:
        with Association.request(server.address, settings) as association:
            with pytest.raises(PeerTimeout):
                store(association, (bytes(2**20) for _ in range(10_000)))
            done.set()
        server.result.result(20)


def test_a_drained_association_ends_when_it_is_idle() -> None:
    associations: list[Association] = []
    ready = Event()

    def handle(association: Association) -> list[tuple[str, bytes]]:
        associations.append(association)
        ready.set()
        return answer_all(association)

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            assert ready.wait(20)
            assert scu.echo(association).status == 0
            associations[0].drain()
            with pytest.raises(AssociationAborted) as caught:
                association.wait_response(99)
            assert caught.value.source == 0
        assert server.result.result(20) == [("C-ECHO-RQ", b"")]


def test_a_message_that_has_begun_is_served_although_drained() -> None:
    def gated() -> Iterator[bytes]:
        yield bytes(600_000)
        yield bytes(400_000)

    def only_once(association: Association) -> int:
        message = association.receive()
        assert message is not None
        association.drain()
        size = sum(len(piece) for piece in message.fragments())
        association.send(message.context.id, response(message))
        assert association.receive() is None
        return size

    with serving(only_once) as server:
        with Association.request(server.address, REQUESTOR) as association:
            assert store(association, gated()).status == 0
            with pytest.raises(AssociationAborted):
                association.wait_response(99)
        assert server.result.result(20) == 1_000_000


def test_a_drained_association_serves_on_within_its_grace() -> None:
    def handle(association: Association) -> list[tuple[str, bytes]]:
        association.drain(grace=20)
        return answer_all(association)

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            for _ in range(3):
                assert scu.echo(association).status == 0
            association.release()
        assert len(server.result.result(20)) == 3


def test_an_interrupted_association_is_lost() -> None:
    associations: list[Association] = []
    ready = Event()

    def handle(association: Association) -> None:
        associations.append(association)
        ready.set()
        answer_all(association)

    with serving(handle) as server:
        with Association.request(server.address, REQUESTOR) as association:
            assert ready.wait(20)
            associations[0].interrupt()
            with pytest.raises(AssociationEnded):
                scu.echo(association)
        with pytest.raises(ConnectionLost):
            server.result.result(20)


def test_message_ids_start_again_after_the_last() -> None:
    with serving(answer_all) as server, Association.request(server.address, REQUESTOR) as ours:
        ids = [ours.next_message_id() for _ in range(65537)]
        ours.release()
    assert ids[0] == ids[65535] == 1
    assert ids[65534] == 65535
