"""A peer of the archive that sends what it likes, when it likes, over one association."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from typing import Self

from tests import samples
from tests.scp.site import Site
from vna.dimse.associate import decode_accept, encode_request
from vna.dimse.command import Command, CommandField, decode_command, encode_command
from vna.dimse.fragments import message_pdus
from vna.dimse.pdu import (
    AssociateAccept,
    AssociateRequest,
    Fragment,
    ProposedContext,
    ReleaseRequest,
    UserInformation,
)

DATA = 4
RELEASE_RP = 6
ABORT = 7
PATIENCE = 60


class RawPeer:
    """An open association whose context ids are 1, 3, 5 … in the order of `contexts`."""

    def __init__(
        self,
        site: Site,
        contexts: Sequence[tuple[str, tuple[str, ...]]] = (
            (samples.CT_IMAGE, (samples.EXPLICIT,)),
        ),
        window: tuple[int, int] | None = (8, 8),
        **user: object,
    ) -> None:
        self.sock = socket.create_connection(site.address, timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        information = UserInformation(asynchronous_operations=window, **user)  # type: ignore[arg-type]
        proposed = tuple(
            ProposedContext(2 * index + 1, uid, syntaxes)
            for index, (uid, syntaxes) in enumerate(contexts)
        )
        self.send(encode_request(AssociateRequest("VNA", "RAW", proposed, information)))
        kind, body = self.pdu()
        assert kind == 2
        self.answer: AssociateAccept = decode_accept(memoryview(body))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()

    def send(self, *data: bytes) -> None:
        """Ready-made bytes."""
        for part in data:
            self.sock.sendall(part)

    def message(self, context_id: int, command: Command, data: bytes | None = None) -> None:
        """A whole message."""
        self.send(encode_message(context_id, command, data))

    def store(self, message_id: int, uid: str, data: bytes, context_id: int = 1) -> None:
        """A C-STORE-RQ of a CT image with its dataset."""
        self.message(context_id, store_request(message_id, uid), data)

    def pdu(self) -> tuple[int, bytes]:
        """The next PDU's type and body; (0, b"") at the end of the connection."""
        header = self._exactly(6)
        return (header[0], self._exactly(int.from_bytes(header[2:], "big"))) if header else (0, b"")

    def response(self) -> tuple[Command, bytes]:
        """The next message: its command and dataset."""
        encoded, data, has_data = b"", b"", True
        while True:
            kind, body = self.pdu()
            assert kind == DATA, f"a PDU of type {kind} instead of a response"
            for fragment in _fragments(body):
                if fragment.is_command:
                    encoded += fragment.data
                    has_data = not fragment.is_last or decode_command(encoded)[1]
                else:
                    data += fragment.data
                if fragment.is_last and not (fragment.is_command and has_data):
                    return decode_command(encoded)[0], data

    def statuses(self, count: int) -> dict[int | None, int | None]:
        """The next `count` responses: status by message id."""
        commands = [self.response()[0] for _ in range(count)]
        return {command.message_id_being_responded_to: command.status for command in commands}

    def ask_release(self) -> None:
        """An A-RELEASE-RQ; the answer is still to be read."""
        self.send(ReleaseRequest().encode())

    def release(self) -> None:
        """Release and close."""
        self.ask_release()
        assert self.pdu()[0] == RELEASE_RP
        self.sock.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            if not piece:
                return b""
            data += piece
        return data


def encode_message(context_id: int, command: Command, data: bytes | None = None) -> bytes:
    """A whole message as PDUs of 16 KiB at most."""
    encoded = encode_command(command, has_data=data is not None)
    return b"".join(
        bytes(part) for pdu in message_pdus(context_id, encoded, data, 16384) for part in pdu
    )


def store_request(message_id: int, uid: str, sop_class_uid: str = samples.CT_IMAGE) -> Command:
    """The command set of a C-STORE-RQ."""
    return Command(
        CommandField.C_STORE_RQ,
        message_id=message_id,
        priority=0,
        affected_sop_class_uid=sop_class_uid,
        affected_sop_instance_uid=uid,
    )


def _fragments(body: bytes) -> Iterable[Fragment]:
    offset = 0
    while offset < len(body):
        length = int.from_bytes(body[offset : offset + 4], "big")
        context_id, control = body[offset + 4], body[offset + 5]
        data = memoryview(body)[offset + 6 : offset + 4 + length]
        yield Fragment(context_id, bool(control & 1), bool(control & 2), data)
        offset += 4 + length
