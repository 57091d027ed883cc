"""A whole association of the DIMSE door over a real socket, with a peer that says anything."""

from __future__ import annotations

import contextlib
import faulthandler
import select
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from tests.fuzz.archive import door
from tests.fuzz.conversation_mutation import HEAD
from tests.fuzz.dimse_targets import SETTINGS, associations, requests
from tests.fuzz.query_targets import commitment_seeds, identifier_seeds
from tests.fuzz.seeds import made_objects
from tests.unit.dimse import values
from vna.dimse.assembly import Assembler, ReceivedCommand
from vna.dimse.associate import encode_request
from vna.dimse.association import Association
from vna.dimse.command import Command, encode_command
from vna.dimse.errors import AssociationEnded
from vna.dimse.negotiation import PresentationContext
from vna.dimse.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Fragment,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
)
from vna.dimse.settings import AcceptorSettings, Timeouts
from vna.dimse.stream import PduStream
from vna.scp.session import serve

PATIENT = Timeouts(artim=30, idle=30, message=30, connect=5)
HASTY = Timeouts(artim=0.05, idle=0.05, message=0.05, connect=5, slowest_rate=1e6)
SILENT = 0xFF
"""As the first byte: the peer falls silent at the end, and never closes."""

_HANGING = 60.0
"""Seconds, far beyond all that is waited for here."""


class Hangs(Exception):
    """The association did not end, though its peer had gone or all its time was over."""


@dataclass
class _End:
    """How the association ended for the archive."""

    errors: list[BaseException] = field(default_factory=list)


def association(data: bytes) -> None:
    """It ends when the peer ends it or the time is over, and with it its threads; and what it said
    meanwhile was whole and in order.
    """
    head, said = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    is_silent = head[0] == SILENT
    settings = replace(SETTINGS, timeouts=HASTY if is_silent else PATIENT)
    ours, theirs = socket.socketpair()
    before = set(threading.enumerate())
    end = _End()
    thread = threading.Thread(target=_serve, args=(ours, settings, end), daemon=True)
    thread.start()
    with theirs:
        heard = talk(theirs, said, head[1] + 1 if head[1] else len(said), is_silent=is_silent)
    for each in {thread, *threading.enumerate()} - before:
        each.join(_HANGING)
        if each.is_alive():
            faulthandler.dump_traceback(sys.stderr)
            raise Hangs(f"thread {each.name} outlives the association")
    for error in end.errors:
        if not isinstance(error, AssociationEnded):
            raise error
    _check_heard(heard, is_silent=is_silent)


def _serve(sock: socket.socket, settings: AcceptorSettings, end: _End) -> None:
    try:
        with Association.accept(sock, settings) as accepted:
            serve(accepted, door(), Counter())
    except BaseException as exc:  # noqa: BLE001 - the thread that waits raises it
        end.errors.append(exc)


def talk(sock: socket.socket, said: bytes, step: int, *, is_silent: bool) -> bytes:
    """Say all in steps of so many bytes, hearing meanwhile; then hear on until the other side closes."""
    sock.settimeout(0)
    heard = bytearray()
    deadline = time.monotonic() + _HANGING
    left = memoryview(said)
    is_saying = True
    while time.monotonic() < deadline:
        if is_saying and not left:
            is_saying = False
            _fall_silent(sock, is_silent=is_silent)
        select.select([sock], [sock] if is_saying else [], [], deadline - time.monotonic())
        if is_saying:
            left = _said(sock, left, step)
        piece = _heard(sock)
        if piece == b"":
            return bytes(heard)
        heard += piece or b""
    raise Hangs("the association does not end")


def _fall_silent(sock: socket.socket, *, is_silent: bool) -> None:
    if not is_silent:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)


def _said(sock: socket.socket, left: memoryview, step: int) -> memoryview:
    """What is left to say; nothing when nobody listens."""
    try:
        return left[sock.send(left[:step]) :]
    except BlockingIOError:
        return left
    except OSError:
        return left[:0]


def _heard(sock: socket.socket) -> bytes | None:
    """What is there; b"" at the end, None when there is nothing."""
    try:
        return sock.recv(65536)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _check_heard(heard: bytes, *, is_silent: bool) -> None:
    """An answer first, then whole messages on contexts that were accepted, nothing behind the end."""
    parser = PduStream()
    parser.receive_data(heard)
    assembler: Assembler | None = None
    is_over = False
    while (pdu := parser.next_pdu()) is not None:
        assert not is_over or isinstance(pdu, Abort), "something was said behind the end"
        if isinstance(pdu, AssociateAccept):
            assert assembler is None
            taken = [answer for answer in pdu.contexts if answer.result == 0]
            assembler = Assembler(
                {
                    a.id: PresentationContext(a.id, "", a.transfer_syntax, as_scu=True, as_scp=True)
                    for a in taken
                }
            )
        elif isinstance(pdu, Fragment):
            assert assembler is not None
            message = assembler.take(pdu)
            if isinstance(message, ReceivedCommand):
                assert message.command.is_response
        else:
            assert isinstance(pdu, (Abort, AssociateReject, ReleaseReply, ReleaseRequest))
            is_over = True
    assert parser.is_between_pdus or is_silent
    assert assembler is None or assembler.is_between_messages or is_over or is_silent


# --- seeds ----------------------------------------------------------------------------------------


def seeds() -> list[bytes]:
    """How it is sent, the request, messages, and an end or none."""
    request = encode_request(_everything())
    echo, store, find, move, cancel, response, action = requests()
    data = made_objects()[0][132:][200:]
    find_data, action_data = identifier_seeds()[0], commitment_seeds()[0]
    messages = [
        _message(1, *echo),
        _message(3, *store, data),
        _message(5, *find, find_data) + _message(5, *cancel),
        _message(7, *move, identifier_seeds()[2]),
        _message(9, *action, action_data),
        _message(3, *response),
    ]
    ends = (ReleaseRequest().encode(), Abort().encode(), b"")
    talks = [*messages, b"".join(messages[:5]), b"".join(messages[1:3] * 3)]
    found = [bytes(HEAD) + request + talk + ends[number % 3] for number, talk in enumerate(talks)]
    plain = [bytes(HEAD) + encode_request(each) + messages[0] for each in associations()]
    silent = [
        bytes([SILENT]).ljust(HEAD, b"\0") + talk
        for talk in (b"", request, request + messages[1][:90])
    ]
    dripping = [b"\0\6" + bytes(HEAD - 2) + request + messages[1] + ends[0]]
    strangers = [
        bytes(HEAD) + b"GET / HTTP/1.1\r\n\r\n",
        bytes(HEAD) + b"\x16\3\1\2\0\1\0\1\xfc\3\3",
    ]
    return found + plain + silent + dripping + strangers


def _everything() -> AssociateRequest:
    both = (values.EXPLICIT, values.IMPLICIT)
    uids = (values.VERIFICATION, values.CT_STORAGE, values.STUDY_FIND, values.STUDY_MOVE)
    contexts = [
        ProposedContext(2 * number + 1, uid, both)
        for number, uid in enumerate((*uids, "1.2.840.10008.1.20.1", values.STUDY_GET))
    ]
    return values.request(*contexts, max_pdu_length=1024, asynchronous_operations=(4, 4))


def _message(context_id: int, command: Command, has_data: bool, data: bytes = b"") -> bytes:
    encoded = encode_command(command, has_data=has_data)
    middle = len(data) // 2
    pdus = values.p_data((context_id, 3, encoded))
    if has_data:
        pdus += values.p_data((context_id, 0, data[:middle])) + values.p_data(
            (context_id, 2, data[middle:])
        )
    return pdus
