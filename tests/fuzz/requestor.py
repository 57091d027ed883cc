"""Our side of an association that we asked for, with a destination that answers anything."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.fuzz.conversation import HASTY, PATIENT, SILENT, Hangs, talk
from tests.fuzz.conversation_mutation import HEAD
from tests.fuzz.dimse_targets import SETTINGS
from tests.unit.dimse import values
from vna.dimse import scu
from vna.dimse.associate import encode_accept
from vna.dimse.association import Association
from vna.dimse.command import RESPONSE, Command, CommandField, encode_command
from vna.dimse.errors import AssociationEnded, NotAccepted
from vna.dimse.handshake import make_accept, make_request
from vna.dimse.negotiation import RoleSelection
from vna.dimse.pdu import Abort, ReleaseReply, ReleaseRequest
from vna.dimse.settings import RequestorSettings, Timeouts

_BOTH = (values.EXPLICIT, values.IMPLICIT)
_CLASSES = (values.VERIFICATION, values.CT_STORAGE, values.STUDY_FIND, values.STUDY_GET)
_WINDOW = 4
_STORES = 6
_HANGING = 60.0


def requestor(data: bytes) -> None:
    """Each request of ours is answered, or the association ends; no store is left without an outcome."""
    head, said = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    is_silent = head[0] == SILENT
    with socket.create_server(("127.0.0.1", 0)) as listening:
        step = head[1] + 1 if head[1] else len(said)
        thread = threading.Thread(
            target=_answer, args=(listening, said, step, is_silent), daemon=True
        )
        thread.start()
        with contextlib.suppress(AssociationEnded):
            _ask(listening.getsockname(), HASTY if is_silent else PATIENT, head[2])
        thread.join(_HANGING)
        if thread.is_alive():
            raise Hangs("the association stays open")


def _answer(listening: socket.socket, said: bytes, step: int, is_silent: bool) -> None:
    sock, _ = listening.accept()
    with sock:
        talk(sock, said, step, is_silent=is_silent)


def _ask(address: tuple[str, int], timeouts: Timeouts, what: int) -> None:
    with Association.request(address, _settings(timeouts)) as association:
        with contextlib.suppress(NotAccepted):
            if what % 4 == 0:
                scu.echo(association)
            elif what % 4 == 1:
                _store(association)
            elif what % 4 == 2:
                for answer in scu.find(association, values.STUDY_FIND, b"\x08\0R\0CS\6\0STUDY "):
                    assert answer.is_pending or answer.command.is_response
            else:
                for answer in scu.get(association, values.STUDY_GET, b"", _take):
                    assert answer.is_pending or answer.command.is_response
        association.release()


def _store(association: Association) -> None:
    context = association.context_for(values.CT_STORAGE)
    pipeline = scu.StorePipeline(association)
    outcomes: list[object] = []
    sent = 0
    try:
        for number in range(_STORES):
            instance = scu.Instance(values.CT_STORAGE, f"1.2.{number}")
            pipeline.store(context, instance, bytes(3000), outcomes.append)
            sent += 1
        pipeline.finish()
        assert len(outcomes) == sent
        assert None not in outcomes
    finally:
        association.close()
        assert len(outcomes) == sent
        assert not pipeline.outstanding


def _take(message: object) -> int:
    return 0


def _settings(timeouts: Timeouts) -> RequestorSettings:
    return RequestorSettings(
        "VNA",
        "THERE",
        tuple((uid, _BOTH) for uid in _CLASSES),
        roles=(RoleSelection(values.CT_STORAGE, scu=True, scp=True),),
        timeouts=timeouts,
        operations_window=_WINDOW,
    )


# --- seeds ----------------------------------------------------------------------------------------


def seeds() -> list[bytes]:
    """How it is said and what is asked, then the answers of a destination."""
    accept = encode_accept(make_accept(make_request(_settings(PATIENT)), SETTINGS)[0])
    talks = [b"".join(answers) for answers in (_echoed(), _stored(), _found(), _got())]
    found = [
        bytes((0, number, what)).ljust(HEAD, b"\0") + accept + said + end
        for what, said in enumerate(talks)
        for number, end in (
            (0, ReleaseReply().encode()),
            (9, Abort().encode()),
            (0, ReleaseRequest().encode()),
        )
    ]
    return [*found, bytes((SILENT, 0, 1)).ljust(HEAD, b"\0") + accept]


def _response(context_id: int, field: CommandField, number: int, status: int = 0) -> bytes:
    command = Command(field | RESPONSE, message_id_being_responded_to=number, status=status)
    return values.p_data((context_id, 3, encode_command(command, has_data=status == 0xFF00)))


def _echoed() -> Iterator[bytes]:
    yield _response(1, CommandField.C_ECHO_RQ, 1)


def _stored() -> Iterator[bytes]:
    for number in range(1, _STORES + 1):
        yield _response(3, CommandField.C_STORE_RQ, number, 0xA700 if number == 2 else 0)


def _found() -> Iterator[bytes]:
    yield _response(5, CommandField.C_FIND_RQ, 1, 0xFF00) + values.p_data((5, 2, b"abcd"))
    yield _response(5, CommandField.C_FIND_RQ, 1)


def _got() -> Iterator[bytes]:
    yield _response(7, CommandField.C_GET_RQ, 1, 0xFE00)
