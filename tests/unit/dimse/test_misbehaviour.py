"""Peers that drip, lie, fall silent or talk nonsense: the standard's answer, and never a hang."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from threading import Event

import pytest

from tests.unit.dimse import values
from tests.unit.dimse.peers import (
    ACCEPTOR,
    RawPeer,
    answer_all,
    echo_request,
    serving,
    store_command,
)
from vna.dimse.associate import encode_request
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField, decode_command, encode_command
from vna.dimse.errors import (
    AssociationEnded,
    AssociationRejected,
    ConnectionLost,
    DimseError,
    PeerTimeout,
    ProtocolError,
)
from vna.dimse.pdu import ReleaseReply, ReleaseRequest

RELEASE = ReleaseRequest().encode()
HASTY = replace(ACCEPTOR, timeouts=replace(ACCEPTOR.timeouts, artim=0.05))


def test_everything_may_come_a_byte_at_a_time() -> None:
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        peer.drip(encode_request(values.request()))
        assert peer.pdu()[0] == 2
        peer.drip(echo_request())
        kind, body = peer.pdu()
        assert kind == 4
        assert decode_command(body[6:])[0].status == 0
        peer.drip(RELEASE)
        assert peer.pdu() == (6, bytes(4))
        peer.sock.close()
        assert server.result.result(20) == [("C-ECHO-RQ", b"")]


def test_everything_may_come_at_once() -> None:
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        stored = values.p_data((3, 3, store_command(2)), (3, 0, b"data"), (3, 2, b"set!"))
        peer.associate()
        peer.send(echo_request(1) + stored + echo_request(3) + RELEASE)
        assert [peer.pdu()[0] for _ in range(4)] == [4, 4, 4, 6]
        peer.sock.close()
        assert server.result.result(20) == [
            ("C-ECHO-RQ", b""),
            ("C-STORE-RQ", b"dataset!"),
            ("C-ECHO-RQ", b""),
        ]


def test_who_connects_and_says_nothing_is_hung_up_on() -> None:
    with serving(answer_all, HASTY) as server, RawPeer(server.address) as peer:
        assert peer.pdu() == (0, b"")
        with pytest.raises(PeerTimeout):
            server.result.result(20)


def test_half_a_request_is_hung_up_on() -> None:
    with serving(answer_all, HASTY) as server, RawPeer(server.address) as peer:
        peer.send(encode_request(values.request())[:50])
        assert peer.pdu() == (0, b"")
        with pytest.raises(PeerTimeout):
            server.result.result(20)


def test_who_connects_and_leaves_is_a_lost_connection() -> None:
    with serving(answer_all) as server:
        with RawPeer(server.address):
            pass
        with pytest.raises(ConnectionLost):
            server.result.result(20)


@pytest.mark.parametrize("released", [True, False])
def test_who_does_not_close_after_the_end_is_hung_up_on(released: bool) -> None:
    with serving(answer_all, HASTY) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(RELEASE if released else b"\x99\0\0\0\0\0")
        assert peer.pdu()[0] == (6 if released else 7)
        assert peer.pdu() == (0, b"")
        if released:
            assert server.result.result(20) == []
        else:
            with pytest.raises(ProtocolError):
                server.result.result(20)


def test_half_a_message_is_aborted_after_the_message_time() -> None:
    settings = replace(ACCEPTOR, timeouts=replace(ACCEPTOR.timeouts, message=0.05))
    for half in (echo_request()[:10], values.p_data((3, 3, store_command()), (3, 0, b"ab"))):
        with serving(answer_all, settings) as server, RawPeer(server.address) as peer:
            peer.associate()
            peer.send(half)
            assert peer.pdu() == (7, bytes((0, 0, 2, 0)))
            peer.sock.close()
            with pytest.raises(PeerTimeout):
                server.result.result(20)


def test_a_peer_that_vanishes_inside_a_dataset_is_lost() -> None:
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(values.p_data((3, 3, store_command()), (3, 0, b"ab")))
        peer.sock.close()
        with pytest.raises(ConnectionLost):
            server.result.result(20)


FIRST = {
    "nothing of DICOM": b"GET / HTTP/1.1\r\nHost: archive\r\n\r\n",
    "request of 4 GiB": b"\x01\x00\xff\xff\xff\xff",
    "data": echo_request(),
    "release": RELEASE,
    "an item longer than the request": (
        encode_request(values.request())[:76] + b"\xff\xff" + encode_request(values.request())[78:]
    ),
}


@pytest.mark.parametrize("name", FIRST)
def test_a_wrong_beginning_is_aborted(name: str) -> None:
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        peer.send(FIRST[name])
        assert peer.pdu() == (7, bytes(4)), "service-user, as PS3.8 has it in state 2 (AA-1)"
        peer.sock.close()
        with pytest.raises(ProtocolError):
            server.result.result(20)


REJECTED = {
    "protocol version": (replace(values.request(), protocol_version=4), (1, 2, 2)),
    "application context": (replace(values.request(), application_context_name="1.2"), (1, 1, 2)),
    "no contexts": (replace(values.request(), contexts=()), (1, 2, 1)),
}


@pytest.mark.parametrize("name", REJECTED)
def test_an_unacceptable_request_is_rejected(name: str) -> None:
    request, (result, source, reason) = REJECTED[name]
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        peer.send(encode_request(request))
        assert peer.pdu() == (3, bytes((0, result, source, reason)))
        peer.sock.close()
        with pytest.raises(AssociationRejected):
            server.result.result(20)


LATER = {
    "unknown PDU": (b"\x55\x00\x00\x00\x00\x04abcd", 1),
    "P-DATA of 4 GiB": (b"\x04\x00\xff\xff\xff\xff", 6),
    "PDV longer than its PDU": (b"\x04\x00\x00\x00\x00\x0a\x00\x00\x00\x99\x01\x03abcd", 6),
    "empty P-DATA": (b"\x04\x00\x00\x00\x00\x00", 6),
    "second request": (encode_request(values.request()), 2),
    "A-RELEASE-RP": (ReleaseReply().encode(), 2),
    "foreign context": (values.p_data((99, 3, b"ab")), 6),
    "dataset without command": (values.p_data((3, 2, b"ab")), 5),
    "command inside a dataset": (values.p_data((3, 3, store_command()), (3, 3, b"ab")), 5),
    "dataset in another context": (values.p_data((3, 3, store_command()), (1, 2, b"ab")), 6),
    "release inside a dataset": (values.p_data((3, 3, store_command())) + RELEASE, 2),
    "release inside a command": (values.p_data((3, 1, store_command())) + RELEASE, 2),
    "no command set": (values.p_data((1, 3, b"nonsense")), 6),
    "command without end": (values.p_data(*[(1, 1, bytes(30_000))] * 3), 6),
}


@pytest.mark.parametrize("name", LATER)
def test_a_breach_later_is_aborted_by_the_provider(name: str) -> None:
    data, reason = LATER[name]
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(data)
        assert peer.pdu() == (7, bytes((0, 0, 2, reason)))
        peer.sock.close()
        with pytest.raises(ProtocolError) as caught:
            server.result.result(20)
        assert (caught.value.source, caught.value.reason) == (2, reason)


def test_an_abort_reaches_a_peer_that_is_still_sending() -> None:
    """Closing with unread bytes would reset the connection and lose the A-ABORT."""
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(b"\x55\x00\x00\x00\x00\x04" + bytes(2**20))
        assert peer.pdu() == (7, bytes((0, 0, 2, 1)))
        peer.sock.close()
        with pytest.raises(ProtocolError):
            server.result.result(20)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_end_the_association_and_nothing_else(seed: int) -> None:
    noise = random.Random(seed)
    with serving(answer_all) as server, RawPeer(server.address) as peer:
        if seed % 2:
            peer.associate()
        data = bytearray(echo_request() * 3 + noise.randbytes(300))
        for _ in range(noise.randrange(6)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        with contextlib.suppress(OSError):
            peer.send(bytes(data))
        peer.sock.close()
        with pytest.raises(DimseError):
            server.result.result(20)


def find_request(message_id: int) -> bytes:
    command = Command(
        CommandField.C_FIND_RQ, message_id=message_id, affected_sop_class_uid=values.STUDY_FIND
    )
    return values.p_data((5, 3, encode_command(command, has_data=True)), (5, 2, b"keys"))


def cancel_request(message_id: int) -> bytes:
    command = Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=message_id)
    return values.p_data((5, 3, encode_command(command, has_data=False)))


def test_a_cancel_is_seen_and_the_next_request_not_swallowed() -> None:
    checked = Event()

    def handle(association: Association) -> list[object]:
        message = association.receive()
        assert message is not None
        assert message.read_data(100) == b"keys"
        while not association.cancelled(7):
            pass
        seen: list[object] = [association.cancelled(7), association.cancelled(8)]
        following = association.receive()
        assert following is not None
        seen += [following.command.message_id, following.read_data(100)]
        seen.append(association.cancelled(7))
        checked.set()
        assert association.receive() is None
        return seen

    with serving(handle) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(find_request(7))
        peer.drip(cancel_request(7))
        peer.send(values.p_data((3, 3, store_command(7)), (3, 2, b"more")))
        assert checked.wait(20)
        peer.send(RELEASE)
        assert peer.pdu()[0] == 6
        peer.sock.close()
        assert server.result.result(20) == [True, False, 7, b"more", False]


def test_a_request_during_an_operation_waits_with_its_dataset() -> None:
    sent = Event()

    def handle(association: Association) -> list[object]:
        message = association.receive()
        assert message is not None
        message.read_data(100)
        assert sent.wait(20)
        early = association.cancelled(1)
        following = association.receive()
        assert following is not None
        return [early, following.read_data(100), association.receive()]

    with serving(handle) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(find_request(1))
        stored = values.p_data((3, 3, store_command(2)), (3, 2, b"more"))
        peer.send(stored + cancel_request(1) + RELEASE)
        sent.set()
        assert peer.pdu()[0] == 6
        peer.sock.close()
        assert server.result.result(20) == [False, b"more", None]


def test_a_release_during_an_operation_ends_it() -> None:
    def handle(association: Association) -> object:
        message = association.receive()
        assert message is not None
        message.read_data(100)
        while not association.cancelled(1):
            pass
        association.send(message.context.id, Command(0x8020, message_id_being_responded_to=1))
        return association.receive()

    with serving(handle) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(find_request(1) + RELEASE)
        assert [peer.pdu()[0], peer.pdu()[0]] == [4, 6]
        peer.sock.close()
        assert server.result.result(20) is None


def test_an_abort_during_an_operation_is_noticed() -> None:
    def handle(association: Association) -> None:
        message = association.receive()
        assert message is not None
        message.read_data(100)
        while not association.cancelled(1):
            pass

    with serving(handle) as server, RawPeer(server.address) as peer:
        peer.associate()
        peer.send(find_request(1))
        peer.sock.close()
        with pytest.raises(AssociationEnded):
            server.result.result(20)


@pytest.mark.parametrize("collides", [True, False])
def test_the_acceptor_may_release_too(collides: bool) -> None:
    with serving(Association.release) as server, RawPeer(server.address) as peer:
        peer.associate()
        assert peer.pdu() == (5, bytes(4))
        peer.send((RELEASE if collides else echo_request()) + ReleaseReply().encode())
        assert peer.pdu()[0] == (6 if collides else 0)
        peer.sock.close()
        server.result.result(20)


def test_a_release_that_is_never_answered_ends_with_artim() -> None:
    with serving(Association.release, HASTY) as server, RawPeer(server.address) as peer:
        peer.associate()
        assert peer.pdu()[0] == 5
        assert peer.pdu()[0] == 7
        server.result.result(20)
