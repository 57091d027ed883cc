"""What must hold for the upper layer and the command sets, whatever a peer sends in whatever pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache

from tests.unit.dimse import values
from vna.dimse.assembly import MAX_COMMAND_LENGTH, Assembler, ReceivedCommand
from vna.dimse.associate import decode_accept, decode_request, encode_accept, encode_request
from vna.dimse.command import BadCommand, Command, CommandField, decode_command, encode_command
from vna.dimse.handshake import agreed_window, judge, make_accept, read_accept
from vna.dimse.negotiation import CommonExtended, RoleSelection, UserIdentity
from vna.dimse.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Fragment,
    InvalidPdu,
    Pdu,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
)
from vna.dimse.settings import AcceptorSettings
from vna.dimse.states import State
from vna.dimse.stream import PduStream
from vna.dimse.upper_layer import UpperLayer, WrongState
from vna.scp.policy import ArchivePolicy

SETTINGS = AcceptorSettings("VNA", ArchivePolicy(), max_pdu_length=4096, operations_window=4)
_MAX_PDU = 4096
_PDU_HEADER = 6
_ROOM = 60_000
"""Of an A-ASSOCIATE item, so that what is written besides what was read fits as well."""


def stream(data: bytes) -> None:
    """Any division into pieces, and the short way for datasets, give the same PDUs and the same end."""
    cuts, received = data[:4], data[4:]
    for limit in (0, _MAX_PDU):
        whole = _events(received, [len(received)], limit)
        assert _events(received, _sizes(cuts), limit) == whole
        assert _events(received, [1], limit) == whole
        assert _events(received, _sizes(cuts), limit, context_id=3) == whole


def machine(data: bytes) -> None:
    """Both sides of the state machine take any PDU and any request of ours at any moment."""
    steps, received = data[:8], data[8:]
    for is_requestor in (False, True):
        layer = UpperLayer(is_requestor=is_requestor, max_pdu_length=_MAX_PDU)
        if is_requestor:
            layer.associate(values.request())
        else:
            layer.connection_indicated()
        for number, piece in enumerate(_pieces(received, _sizes(steps))):
            layer.receive_data(piece)
            while layer.next_event() is not None:
                assert layer.state in State
            with suppress(WrongState):
                _ours(layer)[steps[number % len(steps)] % 8]()
            assert layer.is_over == (layer.state in {State.IDLE, State.AWAITING_CLOSE})
        _check_sent(b"".join(layer.take_outgoing()))
        layer.connection_closed()
        assert layer.state is State.IDLE
        assert layer.must_close


def command(data: bytes) -> None:
    """A command set is read or refused; what was read can be written and is read again as it was."""
    cuts, encoded = data[:4], data[4:]
    pieces = list(_pieces(encoded, _sizes(cuts))) or [encoded]
    try:
        found, has_data = decode_command(encoded)
    except BadCommand:
        assert _assembled(pieces) is None
        return
    if len(encoded) <= MAX_COMMAND_LENGTH:
        received = _assembled(pieces)
        assert received is not None
        assert (received.command, received.has_data) == (found, has_data)
    assert found.name
    again = decode_command(encode_command(found, has_data=has_data))
    assert again[1] == has_data
    assert decode_command(encode_command(again[0], has_data=has_data)) == again


def associate(data: bytes) -> None:
    """A request is read or refused; what is answered to it can be written, and is no more than asked."""
    with suppress(InvalidPdu):
        accept = decode_accept(memoryview(data))
        if len(data) < _ROOM:
            assert decode_accept(_body(encode_accept(accept))).contexts == accept.contexts
        read_accept(values.request(), accept)
    try:
        request = decode_request(memoryview(data))
    except InvalidPdu:
        return
    if len(data) < _ROOM:
        assert decode_request(_body(encode_request(request))).contexts == request.contexts
    if judge(request, SETTINGS, "") is None:
        _check_answer(request)


# --- seeds ----------------------------------------------------------------------------------------


def associations() -> list[AssociateRequest]:
    """Requests that between them have each item."""
    both = (values.EXPLICIT, values.IMPLICIT)
    finds = ProposedContext(5, values.STUDY_FIND, both)
    stores = ProposedContext(3, values.CT_STORAGE, (*both, values.JPEG))
    unknown = ProposedContext(7, "1.2.3.4", both)
    return [
        values.request(),
        values.request(ProposedContext(1, values.VERIFICATION, both), stores, finds),
        values.request(
            stores, unknown,
            max_pdu_length=16384,
            implementation_class_uid="1.2.3",
            implementation_version_name="PEER",
            asynchronous_operations=(0, 4),
            roles=(RoleSelection(values.CT_STORAGE, scu=True, scp=True),),
            extended=((values.STUDY_FIND, b"\1\1\1\1"),),
            common_extended=(CommonExtended("1.2.3.4", "1.2.840.10008.4.2", ("1.2.3.5",)),),
            user_identity=UserIdentity(2, b"user", b"secret", response_requested=True),
        ),
    ]  # fmt: skip


def requests() -> list[tuple[Command, bool]]:
    """A command of each kind, and whether data follows."""
    uid, instance = values.CT_STORAGE, "1.2.3"
    return [
        (Command(CommandField.C_ECHO_RQ, 1, affected_sop_class_uid=values.VERIFICATION), False),
        (Command(CommandField.C_STORE_RQ, 2, affected_sop_class_uid=uid, priority=0,
                 affected_sop_instance_uid=instance, move_originator_message_id=3), True),
        (Command(CommandField.C_FIND_RQ, 3, affected_sop_class_uid=values.STUDY_FIND, priority=2), True),
        (Command(CommandField.C_MOVE_RQ, 4, affected_sop_class_uid=values.STUDY_MOVE,
                 move_destination="SOMEWHERE", priority=0), True),
        (Command(CommandField.C_CANCEL_RQ, message_id_being_responded_to=3), False),
        (Command(CommandField.C_STORE_RSP, message_id_being_responded_to=2, status=0xA700,
                 offending_element=(0x00100010,), error_comment="no room"), False),
        (Command(CommandField.N_ACTION_RQ, 5, requested_sop_class_uid="1.2.840.10008.1.20.1",
                 requested_sop_instance_uid="1.2.840.10008.1.20.1.1", action_type_id=1), True),
    ]  # fmt: skip


def command_seeds() -> list[bytes]:
    """Four bytes that say how it is cut, then a command set."""
    return [b"\3\0\0\7" + encode_command(found, has_data=has) for found, has in requests()]


def associate_seeds() -> list[bytes]:
    """Bodies of A-ASSOCIATE PDUs."""
    asked = [encode_request(request)[_PDU_HEADER:] for request in associations()]
    answers = [make_accept(request, SETTINGS)[0] for request in associations()]
    return asked + [encode_accept(answer)[_PDU_HEADER:] for answer in answers]


def stream_seeds() -> list[bytes]:
    """Eight bytes that say how it is cut, then PDUs."""
    asked = [encode_request(request) for request in associations()]
    answered = [encode_accept(make_accept(request, SETTINGS)[0]) for request in associations()]
    command = encode_command(requests()[1][0], has_data=True)
    data = values.p_data((3, 1, command[:20]), (3, 3, command[20:])) + values.p_data(
        (3, 0, b"abcdef")
    )
    ends = [
        ReleaseRequest().encode(),
        ReleaseReply().encode(),
        Abort().encode(),
        AssociateReject(1, 1, 7).encode(),
    ]
    last = values.p_data((3, 2, b"gh"))
    begins = [*asked, *answered]
    return [b"\5\0\1\x20\7\7\7\7" + begin + data + last + end for begin in begins for end in ends]


# --- helpers --------------------------------------------------------------------------------------


def _sizes(cuts: bytes) -> list[int]:
    return [size + 1 for size in cuts] or [1]


def _pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        yield data[at : at + size]
        at += size
        number += 1


_Event = tuple[object, ...]


def _events(data: bytes, sizes: list[int], limit: int, context_id: int = 0) -> list[_Event]:
    """The PDUs, pieces of one fragment put together, and the error that ended them."""
    found: list[_Event] = []
    parser = PduStream(limit)
    for piece in _pieces(data, [size or 1 for size in sizes]):
        parser.receive_data(piece)
        try:
            while True:
                plain = parser.next_data(context_id) if context_id else None
                if plain is not None:
                    found.append((context_id, False, False, bytes(plain)))
                    continue
                pdu = parser.next_pdu()
                if pdu is None:
                    break
                found.append(_event(pdu))
        except InvalidPdu as exc:
            found.append(("invalid", str(exc), exc.reason))
            assert parser.next_pdu() is None
    return _joined(found)


def _event(pdu: Pdu) -> _Event:
    if isinstance(pdu, Fragment):
        return pdu.context_id, pdu.is_command, pdu.is_last, bytes(pdu.data)
    return (pdu,)


def _joined(events: list[_Event]) -> list[_Event]:
    joined: list[_Event] = []
    for event in events:
        last = joined[-1] if joined else ()
        if len(event) == len(last) == 4 and event[:2] == last[:2] and not last[2]:
            joined[-1] = (*event[:3], last[3] + event[3])  # type: ignore[operator]
        else:
            joined.append(event)
    return joined


def _ours(layer: UpperLayer) -> tuple[Callable[[], object], ...]:
    """What the owner may ask of the machine."""
    answer = _answer()
    nothing: Callable[[], object] = tuple
    return (
        nothing,
        lambda: layer.accept(answer),
        lambda: layer.reject(AssociateReject(1, 1, 1)),
        layer.release,
        layer.reply_release,
        lambda: layer.abort(Abort()),
        layer.check_can_send,
        layer.artim_expired,
    )


@lru_cache(maxsize=1)
def _answer() -> AssociateAccept:
    return make_accept(values.request(), SETTINGS)[0]


def _check_sent(data: bytes) -> None:
    """What we send is whole PDUs."""
    parser = PduStream()
    parser.receive_data(data)
    while parser.next_pdu() is not None:
        pass
    assert parser.is_between_pdus


def _assembled(pieces: list[bytes]) -> ReceivedCommand | None:
    assembler = Assembler(values.CONTEXTS)
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        try:
            taken = assembler.take(
                Fragment(1, is_command=True, is_last=is_last, data=memoryview(piece))
            )
        except InvalidPdu:
            return None
    assert isinstance(taken, ReceivedCommand)
    return taken


def _body(pdu: bytes) -> memoryview:
    return memoryview(pdu)[_PDU_HEADER:]


def _check_answer(request: AssociateRequest) -> None:
    accept, contexts = make_accept(request, SETTINGS)
    read = decode_accept(_body(encode_accept(accept)))
    assert [answer.id for answer in read.contexts] == [context.id for context in request.contexts]
    understood = read_accept(request, read)
    assert understood.accepted.keys() == contexts.accepted.keys()
    assert not contexts.accepted.keys() & contexts.refused.keys()
    for context_id, theirs in understood.accepted.items():
        ours = contexts.accepted[context_id]
        assert (ours.as_scp, ours.as_scu) == (theirs.as_scu, theirs.as_scp)
        assert ours.transfer_syntax == theirs.transfer_syntax
    invoked, performed = agreed_window(request.user, read.user)
    assert 1 <= invoked <= SETTINGS.operations_window
    assert 1 <= performed <= SETTINGS.operations_window
