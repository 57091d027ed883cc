"""PDUs and command sets as bytes, made before the clock starts and read with as little work as possible."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping, Sequence

MAX_PDU = 131072
"""What we announce: the most that DCMTK, and with it Orthanc, would send anyway."""

IMPLICIT = "1.2.840.10008.1.2"
C_STORE, C_FIND, C_GET, C_MOVE = 0x0001, 0x0020, 0x0010, 0x0021
RESPONSE = 0x8000
COMMAND_FIELD, MESSAGE_ID, RESPONDED_TO, STATUS = 0x0100, 0x0110, 0x0120, 0x0900
SOP_CLASS_UID, SOP_INSTANCE_UID, COMPLETED = 0x0002, 0x1000, 0x1021
PRIORITY, DATA_SET_TYPE, MOVE_DESTINATION = 0x0700, 0x0800, 0x0600
PENDING = frozenset({0xFF00, 0xFF01})
_NO_DATA_SET = 0x0101
_BUFFER = 2**20

Contexts = Sequence[tuple[str, str]]
"""Abstract syntax and transfer syntax of each presentation context; their ids are 1, 3, 5 …"""


def item(kind: int, data: bytes) -> bytes:
    """An item of an A-ASSOCIATE PDU (PS3.8 9.3.2)."""
    return struct.pack(">BxH", kind, len(data)) + data


def pdu(kind: int, body: bytes) -> bytes:
    """A whole PDU."""
    return struct.pack(">BxI", kind, len(body)) + body


def associate_request(
    contexts: Contexts, called: str, receives: Sequence[str] = (), calling: str = "BENCH"
) -> bytes:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2); of the SOP classes `receives` we offer to be the SCP (PS3.7 D.3.3.4)."""
    proposed = b"".join(
        item(
            0x20,
            struct.pack(">B3x", 2 * position + 1)
            + item(0x30, abstract.encode())
            + item(0x40, syntax.encode()),
        )
        for position, (abstract, syntax) in enumerate(contexts)
    )
    roles = b"".join(
        item(0x54, struct.pack(">H", len(uid)) + uid.encode() + b"\x00\x01") for uid in receives
    )
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + proposed
    return pdu(1, body + item(0x50, _user_information(roles)))


def _user_information(roles: bytes) -> bytes:
    maximum = item(0x51, struct.pack(">I", MAX_PDU))
    return maximum + item(0x52, b"1.2.826.0.1.3680043.10.511") + roles


def associate_accept(request: bytes) -> bytes:
    """The A-ASSOCIATE-AC that takes everything a request (its body) proposes, in the first transfer syntax."""
    accepted = b""
    for kind, data in items(request[68:]):
        if kind == 0x20:
            syntax = next(value for sub, value in items(data[4:]) if sub == 0x40)
            accepted += item(0x21, data[:1] + bytes(3) + item(0x40, syntax))
    body = request[:68] + item(0x10, b"1.2.840.10008.3.1.1.1") + accepted
    return pdu(2, body + item(0x50, _user_information(b"")))


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The items of an A-ASSOCIATE PDU."""
    at = 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from(">BxH", data, at)
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length


def accepted_contexts(accept: bytes) -> list[int]:
    """The ids of the presentation contexts that an A-ASSOCIATE-AC (its body) accepts."""
    found = (data for kind, data in items(accept[68:]) if kind == 0x21)
    return [data[0] for data in found if data[2] == 0]


def max_pdu_of(accept: bytes) -> int:
    """The longest P-DATA-TF that the acceptor takes; 0 without a limit."""
    for kind, data in items(accept[68:]):
        if kind == 0x50:
            for sub, value in items(data):
                if sub == 0x51:
                    return int(struct.unpack(">I", value)[0])
    return 0


def command(elements: Mapping[int, bytes | int | str]) -> bytes:
    """A command set (PS3.7 6.3): numbers are US, texts are padded to even length."""
    body = b""
    for number in sorted(elements):
        value = elements[number]
        data = struct.pack("<H", value) if isinstance(value, int) else value
        data = data.encode() if isinstance(data, str) else data
        data += bytes(len(data) % 2)
        body += struct.pack("<HHI", 0, number, len(data)) + data
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def command_elements(data: bytes | memoryview) -> dict[int, bytes]:
    """The elements of a command set, by element number."""
    found, at = {}, 0
    while at + 8 <= len(data):
        number, length = struct.unpack_from("<2xHI", data, at)
        found[number] = bytes(data[at + 8 : at + 8 + length])
        at += 8 + length
    return found


def number_of(elements: Mapping[int, bytes], number: int) -> int:
    """The value of a US element of a command set; 0 when it is missing."""
    return int.from_bytes(elements.get(number, b""), "little")


def p_data(context_id: int, control: int, data: bytes) -> bytes:
    """A P-DATA-TF with one fragment; `control` has bit 0 for a command, bit 1 for the last fragment."""
    return pdu(4, struct.pack(">IBB", len(data) + 2, context_id, control) + data)


def message(context_id: int, command_set: bytes, data: bytes, max_pdu: int) -> bytes:
    """A whole message, cut to the peer's maximum length."""
    room = (max_pdu or MAX_PDU) - 6
    pieces = [data[at : at + room] for at in range(0, len(data), room)]
    last = len(pieces) - 1
    return p_data(context_id, 3, command_set) + b"".join(
        p_data(context_id, 2 if position == last else 0, piece)
        for position, piece in enumerate(pieces)
    )


def store_response(context_id: int, request: Mapping[int, bytes]) -> bytes:
    """The C-STORE-RSP with status Success."""
    answer: dict[int, bytes | int | str] = {
        SOP_CLASS_UID: request[SOP_CLASS_UID],
        COMMAND_FIELD: C_STORE | RESPONSE,
        RESPONDED_TO: request[MESSAGE_ID],
        DATA_SET_TYPE: _NO_DATA_SET,
        STATUS: 0,
        SOP_INSTANCE_UID: request[SOP_INSTANCE_UID],
    }
    return p_data(context_id, 3, command(answer))


class PduReader:
    """Reads PDUs through one large buffer; what it gives is valid until the next one is read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = memoryview(bytearray(_BUFFER))
        self._start = self._end = 0

    def next(self) -> tuple[int, memoryview]:
        """The next PDU: its type and body. Raises ConnectionError at the end of the connection."""
        self._need(6)
        kind, length = struct.unpack_from(">BxI", self._buffer, self._start)
        self._need(6 + length)
        body = self._buffer[self._start + 6 : self._start + 6 + length]
        self._start += 6 + length
        return kind, body

    def fragments(self) -> Iterator[tuple[int, int, memoryview]]:
        """(context id, control, data) of each fragment until the peer wants to release; its RQ is then answered."""
        while True:
            kind, body = self.next()
            if kind == 5:
                self._connection.sendall(pdu(6, bytes(4)))
                return
            if kind != 4:
                raise ConnectionError(f"PDU of type {kind}: {bytes(body[:16])!r}")
            at = 0
            while at < len(body):
                length, context_id, control = struct.unpack_from(">IBB", body, at)
                yield context_id, control, body[at + 6 : at + 4 + length]
                at += 4 + length

    def _need(self, length: int) -> None:
        if length > len(self._buffer) - self._start:
            self._make_room(length)
        while self._end - self._start < length:
            received = self._connection.recv_into(self._buffer[self._end :])
            if not received:
                raise ConnectionError("the peer closed the connection")
            self._end += received

    def _make_room(self, length: int) -> None:
        kept = bytes(self._buffer[self._start : self._end])
        if length > len(self._buffer):
            self._buffer = memoryview(bytearray(length))
        self._buffer[: len(kept)] = kept
        self._start, self._end = 0, len(kept)
