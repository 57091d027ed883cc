"""The protocol machine, driven without sockets through every way an association can go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dimse import values
from vna.dimse.associate import encode_accept, encode_request
from vna.dimse.pdu import (
    Abort,
    AbortReason,
    AbortSource,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Fragment,
    ReleaseReply,
    ReleaseRequest,
    UserInformation,
)
from vna.dimse.states import State
from vna.dimse.upper_layer import LocalAbort, UpperLayer, WrongState

ACCEPT = AssociateAccept(
    "VNA", "PEER", (AnsweredContext(1, 0, values.IMPLICIT),), UserInformation(16384, "1.2.3")
)
REJECT = AssociateReject(1, 1, 7)
DATA = values.p_data((1, 3, b"ab"))
RELEASE, RELEASED = ReleaseRequest().encode(), ReleaseReply().encode()
REQUEST = encode_request(values.request())
ANY_PDU = {
    "A-ASSOCIATE-RQ": REQUEST,
    "A-ASSOCIATE-AC": encode_accept(ACCEPT),
    "A-ASSOCIATE-RJ": REJECT.encode(),
    "P-DATA-TF": DATA,
    "A-RELEASE-RQ": RELEASE,
    "A-RELEASE-RP": RELEASED,
}


def awaiting_request() -> UpperLayer:
    machine = UpperLayer(is_requestor=False, max_pdu_length=16384)
    machine.connection_indicated()
    return machine


def awaiting_answer() -> UpperLayer:
    machine = UpperLayer(is_requestor=True, max_pdu_length=16384)
    machine.associate(values.request())
    machine.take_outgoing()
    return machine


def accepted() -> UpperLayer:
    machine = awaiting_request()
    machine.receive_data(REQUEST)
    assert isinstance(machine.next_event(), AssociateRequest)
    machine.accept(ACCEPT)
    machine.take_outgoing()
    return machine


def requested() -> UpperLayer:
    machine = awaiting_answer()
    machine.receive_data(encode_accept(ACCEPT))
    assert isinstance(machine.next_event(), AssociateAccept)
    return machine


def fed(machine: UpperLayer, data: bytes) -> object:
    machine.receive_data(data)
    return machine.next_event()


def test_the_acceptor_from_opening_to_release() -> None:
    machine = awaiting_request()
    assert (machine.state, machine.is_artim_running) == (State.AWAITING_REQUEST_PDU, True)
    assert isinstance(fed(machine, REQUEST), AssociateRequest)
    assert (machine.state, machine.is_artim_running) == (State.AWAITING_LOCAL_ANSWER, False)
    machine.accept(ACCEPT)
    assert machine.take_outgoing() == [encode_accept(ACCEPT)]
    assert isinstance(fed(machine, DATA), Fragment)
    machine.check_can_send()
    assert isinstance(fed(machine, RELEASE), ReleaseRequest)
    machine.check_can_send()
    machine.reply_release()
    assert machine.take_outgoing() == [RELEASED]
    assert (machine.state, machine.is_artim_running) == (State.AWAITING_CLOSE, True)
    assert machine.connection_closed() is None
    assert (machine.state, machine.is_artim_running) == (State.IDLE, False)


def test_the_requestor_from_opening_to_release() -> None:
    machine = UpperLayer(is_requestor=True)
    machine.associate(values.request())
    assert machine.take_outgoing() == [REQUEST]
    assert isinstance(fed(machine, encode_accept(ACCEPT)), AssociateAccept)
    machine.release()
    assert machine.take_outgoing() == [RELEASE]
    assert isinstance(fed(machine, DATA), Fragment), "data may still come (AR-6)"
    assert isinstance(fed(machine, RELEASED), ReleaseReply)
    assert machine.must_close
    assert machine.state is State.IDLE


def test_a_rejection_is_sent_and_the_close_awaited() -> None:
    machine = awaiting_request()
    fed(machine, REQUEST)
    machine.reject(REJECT)
    assert machine.take_outgoing() == [REJECT.encode()]
    assert machine.is_artim_running
    machine.artim_expired()
    assert machine.must_close


def test_a_rejection_is_received() -> None:
    machine = awaiting_answer()
    assert fed(machine, REJECT.encode()) == REJECT
    assert machine.must_close
    assert machine.state is State.IDLE


def test_artim_before_the_request_closes_without_a_word() -> None:
    machine = awaiting_request()
    machine.artim_expired()
    assert machine.must_close
    assert machine.take_outgoing() == []


@pytest.mark.parametrize("is_requestor", [True, False])
def test_both_sides_may_release_at_once(is_requestor: bool) -> None:
    machine = requested() if is_requestor else accepted()
    machine.release()
    assert machine.take_outgoing() == [RELEASE]
    assert isinstance(fed(machine, RELEASE), ReleaseRequest)
    if is_requestor:
        machine.reply_release()
        assert machine.take_outgoing() == [RELEASED]
        assert isinstance(fed(machine, RELEASED), ReleaseReply)
        assert machine.must_close
    else:
        assert isinstance(fed(machine, RELEASED), ReleaseReply)
        machine.reply_release()
        assert machine.take_outgoing() == [RELEASED]
        assert machine.state is State.AWAITING_CLOSE


@pytest.mark.parametrize("name", [name for name in ANY_PDU if name != "A-ASSOCIATE-RQ"])
def test_a_wrong_first_pdu_is_aborted_as_the_table_says(name: str) -> None:
    machine = awaiting_request()
    ended = fed(machine, ANY_PDU[name])
    assert isinstance(ended, LocalAbort)
    assert machine.take_outgoing() == [Abort(AbortSource.SERVICE_USER, 0).encode()]
    assert machine.state is State.AWAITING_CLOSE


UNEXPECTED = {
    "A-ASSOCIATE-RQ": "AssociateRequest",
    "A-ASSOCIATE-AC": "AssociateAccept",
    "A-ASSOCIATE-RJ": "AssociateReject",
    "A-RELEASE-RP": "ReleaseReply",
}


@pytest.mark.parametrize("name", UNEXPECTED)
def test_an_unexpected_pdu_later_is_aborted_by_the_provider(name: str) -> None:
    message = f"unexpected {UNEXPECTED[name]} in state ESTABLISHED"
    for machine in (accepted(), requested()):
        assert fed(machine, ANY_PDU[name]) == LocalAbort(
            message, AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU
        )
        assert machine.take_outgoing() == [Abort(2, 2).encode()]
        assert machine.is_artim_running


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"\x55\x00\x00\x00\x00\x04", 1), (b"\x04\x00\xff\xff\xff\xff", 6), (b"\x05\0\0\0\0\x09", 6)],
)
def test_an_invalid_pdu_is_aborted_with_its_reason(data: bytes, reason: int) -> None:
    machine = accepted()
    ended = fed(machine, data)
    assert isinstance(ended, LocalAbort)
    assert (ended.source, ended.reason) == (2, reason)
    assert machine.take_outgoing() == [Abort(2, reason).encode()]


def test_behind_an_abort_of_ours_nothing_is_news() -> None:
    machine = accepted()
    machine.abort(Abort())
    assert machine.take_outgoing() == [Abort().encode()]
    for name, data in ANY_PDU.items():
        assert fed(machine, data) is None
        expected = [Abort(2, 2).encode()] if name == "A-ASSOCIATE-RQ" else []
        assert machine.take_outgoing() == expected
    assert fed(machine, Abort().encode()) is None
    assert machine.must_close


@pytest.mark.parametrize("open_machine", [awaiting_request, awaiting_answer, accepted, requested])
def test_an_abort_of_the_peer_is_told(open_machine: object) -> None:
    machine = open_machine()  # type: ignore[operator]
    assert fed(machine, Abort(2, 1).encode()) == Abort(2, 1)
    assert machine.must_close
    assert machine.take_outgoing() == []


def test_a_lost_connection_is_told_once() -> None:
    machine = accepted()
    ended = machine.connection_closed()
    assert ended is not None
    assert ended.is_connection_lost
    assert machine.connection_closed() is None


def test_what_is_not_possible_is_refused() -> None:
    machine = awaiting_request()
    for step in (machine.release, machine.reply_release, machine.check_can_send):
        with pytest.raises(WrongState):
            step()
    machine = requested()
    machine.release()
    with pytest.raises(WrongState):
        machine.check_can_send()


@given(
    st.lists(
        st.sampled_from([*ANY_PDU.values(), Abort().encode()]) | st.binary(max_size=40), max_size=8
    ).map(b"".join),
    st.lists(st.integers(0, 10**6), max_size=20),
    st.sampled_from([awaiting_request, awaiting_answer, accepted, requested]),
)
def test_whatever_comes_in_whatever_pieces_the_answer_is_the_same(
    data: bytes, cuts: list[int], open_machine: object
) -> None:
    answers = []
    for chunks in ([data], values.chunked(data, cuts), [bytes((byte,)) for byte in data]):
        machine: UpperLayer = open_machine()  # type: ignore[operator]
        seen = []
        for chunk in chunks:
            machine.receive_data(chunk)
            while (event := machine.next_event()) is not None:
                if not isinstance(event, Fragment):
                    seen.append(event)
        answers.append((seen, machine.take_outgoing(), machine.state, machine.must_close))
    assert answers[0] == answers[1] == answers[2]
