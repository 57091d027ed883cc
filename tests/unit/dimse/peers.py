"""Acceptors in a thread, and peers that send whatever bytes a test wants."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

from tests.unit.dimse import values
from tests.unit.dimse.policies import TablePolicy
from vna.dimse.associate import encode_request
from vna.dimse.association import Association
from vna.dimse.command import Command, CommandField, encode_command
from vna.dimse.message import Message
from vna.dimse.negotiation import RoleSelection
from vna.dimse.pdu import ProposedContext
from vna.dimse.settings import AcceptorSettings, RequestorSettings, Timeouts

T = TypeVar("T")
PATIENT = Timeouts(artim=20, idle=20, message=20, connect=20)
BOTH = (values.EXPLICIT, values.IMPLICIT)
POLICY = TablePolicy(
    dict.fromkeys(
        (
            values.VERIFICATION,
            values.CT_STORAGE,
            values.STUDY_FIND,
            values.STUDY_MOVE,
            values.STUDY_GET,
        ),
        BOTH,
    )
)
ACCEPTOR = AcceptorSettings("VNA", POLICY, timeouts=PATIENT)
REQUESTOR = RequestorSettings(
    "PEER",
    "VNA",
    tuple(
        (uid, BOTH)
        for uid in (
            values.VERIFICATION,
            values.CT_STORAGE,
            values.STUDY_FIND,
            values.STUDY_MOVE,
            values.STUDY_GET,
        )
    ),
    timeouts=PATIENT,
)
GETTER = replace(REQUESTOR, roles=(RoleSelection(values.CT_STORAGE, scu=True, scp=True),))


@dataclass(frozen=True, slots=True)
class Server(Generic[T]):
    """Where it listens, and what its handler will have returned."""

    address: tuple[str, int]
    result: Future[T]


@contextlib.contextmanager
def serving(
    handle: Callable[[Association], T], settings: AcceptorSettings = ACCEPTOR
) -> Iterator[Server[T]]:
    """Accept one association and give it to `handle` in a thread."""

    def accept() -> T:
        with contextlib.closing(listener):
            sock, _ = listener.accept()
        with Association.accept(sock, settings) as association:
            return handle(association)

    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)
    address: tuple[str, int] = listener.getsockname()
    with ThreadPoolExecutor(1) as pool:
        yield Server(address, pool.submit(accept))


def response(message: Message, status: int = 0, **counters: Any) -> Command:
    """The usual response to a request."""
    return replace(message.command.response(status), **counters)


def answer_all(association: Association) -> list[tuple[str, bytes]]:
    """Say success to everything until the release; returns what came."""
    seen = []
    while (message := association.receive()) is not None:
        seen.append((message.command.name, message.read_data(2**24)))
        association.send(message.context.id, response(message))
    return seen


def echo_request(message_id: int = 1) -> bytes:
    """A C-ECHO-RQ on context 1, as a PDU."""
    command = Command(
        CommandField.C_ECHO_RQ, message_id=message_id, affected_sop_class_uid=values.VERIFICATION
    )
    return values.p_data((1, 3, encode_command(command, has_data=False)))


def store_command(message_id: int = 1) -> bytes:
    """A C-STORE-RQ command set."""
    command = Command(
        CommandField.C_STORE_RQ,
        message_id=message_id,
        affected_sop_class_uid=values.CT_STORAGE,
        affected_sop_instance_uid="1.2.3",
    )
    return encode_command(command, has_data=True)


class RawPeer:
    """A peer that says exactly what it is told, over a connected socket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes) -> None:
        """One byte a packet."""
        for byte in data:
            self.sock.sendall(bytes((byte,)))

    def pdu(self) -> tuple[int, bytes]:
        """The next PDU's type and body; (0, b"") when the connection was closed."""
        header = self._exactly(6)
        return (header[0], self._exactly(int.from_bytes(header[2:], "big"))) if header else (0, b"")

    def associate(self) -> None:
        """Open an association with contexts 1 (verification), 3 (CT storage), 5 (C-FIND)."""
        contexts = (values.VERIFICATION, values.CT_STORAGE, values.STUDY_FIND)
        request = values.request(
            *(ProposedContext(2 * i + 1, uid, (values.IMPLICIT,)) for i, uid in enumerate(contexts))
        )
        self.send(encode_request(request))
        assert self.pdu()[0] == 2

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                return b""
            data += piece
        return data
