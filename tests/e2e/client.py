"""A bare DIMSE client and C-MOVE destination for tests: datasets as bytes, nothing decoded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from tests.samples import IMPLICIT
from tests.samples import dataset as encode
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField
from vna.dimse.errors import DimseError
from vna.dimse.negotiation import (
    Acceptance,
    ContextResult,
    Proposal,
    RoleSelection,
    UserIdentity,
)
from vna.dimse.settings import AcceptorSettings, RequestorSettings

STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
PENDING = frozenset({0xFF00, 0xFF01})
_LIMIT = 2**30


@dataclass(frozen=True, slots=True)
class Item:
    """One instance as it travels: dataset bytes without file meta."""

    sop_class_uid: str
    transfer_syntax_uid: str
    sop_instance_uid: str
    dataset: bytes


@contextmanager
def associate(
    port: int,
    contexts: Sequence[tuple[str, tuple[str, ...]]],
    roles: Sequence[RoleSelection] = (),
) -> Iterator[Association]:
    """An association with the archive on this port of the loopback address, released afterwards."""
    settings = RequestorSettings("TESTS", "VNA", tuple(contexts), tuple(roles))
    association = Association.request(("127.0.0.1", port), settings)
    with association:
        yield association
        association.release()


def send(association: Association, item: Item) -> int | None:
    """C-STORE `item`; the status."""
    context = association.context_for(item.sop_class_uid, item.transfer_syntax_uid)
    message_id = association.next_message_id()
    request = Command(
        CommandField.C_STORE_RQ,
        message_id=message_id,
        affected_sop_class_uid=item.sop_class_uid,
        affected_sop_instance_uid=item.sop_instance_uid,
        priority=0,
    )
    association.send(context.id, request, item.dataset)
    response = association.wait_response(message_id)
    response.read_data(_LIMIT)
    return response.command.status


def store(port: int, item: Item) -> int | None:
    """C-STORE `item` over an association of its own; the status."""
    with associate(port, [(item.sop_class_uid, (item.transfer_syntax_uid,))]) as association:
        return send(association, item)


def get(port: int, uids: Mapping[str, str], kinds: set[tuple[str, str]]) -> dict[str, bytes]:
    """C-GET what `uids` (keyword -> UID) select; dataset bytes by SOP Instance UID.

    `kinds` are the (SOP class, transfer syntax) pairs to take, each in a context of its own.
    """
    contexts = [(STUDY_ROOT_GET, (IMPLICIT,))]
    contexts += [(sop_class, (syntax,)) for sop_class, syntax in sorted(kinds)]
    roles = [
        RoleSelection(sop_class, scu=False, scp=True) for sop_class in {kind[0] for kind in kinds}
    ]
    received: dict[str, bytes] = {}
    with associate(port, contexts, roles) as association:
        _request_retrieve(association, CommandField.C_GET_RQ, STUDY_ROOT_GET, uids, "")
        while True:
            message = association.receive()
            assert message is not None
            data = message.read_data(_LIMIT)
            command = message.command
            if command.command_field == CommandField.C_STORE_RQ:
                received[command.affected_sop_instance_uid] = data
                association.send(message.context.id, _stored(command))
            elif command.status not in PENDING:
                return received


def move(port: int, uids: Mapping[str, str], destination: str) -> Command:
    """C-MOVE what `uids` select to `destination`; the final response."""
    with associate(port, [(STUDY_ROOT_MOVE, (IMPLICIT,))]) as association:
        number = _request_retrieve(
            association, CommandField.C_MOVE_RQ, STUDY_ROOT_MOVE, uids, destination
        )
        while True:
            message = association.wait_response(number)
            message.read_data(_LIMIT)
            if message.command.status not in PENDING:
                return message.command


def _request_retrieve(
    association: Association,
    kind: CommandField,
    sop_class_uid: str,
    uids: Mapping[str, str],
    destination: str,
) -> int:
    level = (
        "IMAGE"
        if "SOPInstanceUID" in uids
        else "SERIES"
        if "SeriesInstanceUID" in uids
        else "STUDY"
    )
    number = association.next_message_id()
    request = Command(
        kind,
        message_id=number,
        affected_sop_class_uid=sop_class_uid,
        priority=0,
        move_destination=destination,
    )
    identifier = encode({"QueryRetrieveLevel": level, **uids}, IMPLICIT)
    association.send(association.context_for(sop_class_uid).id, request, identifier)
    return number


def _stored(request: Command) -> Command:
    return Command(
        CommandField.C_STORE_RSP,
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        status=0,
    )


class TakeEverything:
    """Accepts each context in its first proposed syntax."""

    def choose(self, proposal: Proposal) -> Acceptance | ContextResult:
        return Acceptance(proposal.transfer_syntaxes[0])

    def answer_extended(self, sop_class_uid: str, information: bytes) -> bytes | None:
        return None

    def answer_identity(self, identity: UserIdentity) -> bytes:
        return b""


@dataclass
class Receiver:
    """A C-MOVE destination on a port of its own that keeps what it gets in memory."""

    ae_title: str
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    received: dict[str, bytes] = field(default_factory=dict)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        settings = AcceptorSettings(self.ae_title, TakeEverything())
        try:
            with Association.accept(connection, settings) as association:
                while (message := association.receive()) is not None:
                    data = message.read_data(_LIMIT)
                    self.received[message.command.affected_sop_instance_uid] = data
                    association.send(message.context.id, _stored(message.command))
        except DimseError:
            return
