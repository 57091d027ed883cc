"""A C-STORE client that costs next to nothing: every PDU is encoded before the clock starts.

Only SOP Instance UIDs, of one fixed length, are written into the ready bytes between two sends.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass

from tests import samples

_UID_DIGITS = 24
_UID_PREFIX = "1.2.826.0.1.3680043.10.511.1"
_CONTEXT_ID = 1


def numbered_uid(number: int) -> str:
    """A UID of fixed length that carries `number`."""
    return f"{_UID_PREFIX}{number:0{_UID_DIGITS}d}"


def associate_request(sop_class_uid: str, transfer_syntax_uid: str, called: str = "VNA") -> bytes:
    """An A-ASSOCIATE-RQ with one presentation context (PS3.8 9.3.2)."""
    context = struct.pack(">BBBB", _CONTEXT_ID, 0, 0, 0)
    context += _item(0x30, sop_class_uid.encode()) + _item(0x40, transfer_syntax_uid.encode())
    user = _item(0x51, struct.pack(">I", 0)) + _item(0x52, b"1.2.826.0.1.3680043.10.511")
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), b"BENCH".ljust(16))
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BxI", 1, len(body)) + body


def _item(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(data)) + data


def _command(sop_class_uid: str, sop_instance_uid: str) -> bytes:
    def element(number: int, data: bytes) -> bytes:
        data += bytes(len(data) % 2)
        return struct.pack("<HHI", 0, number, len(data)) + data

    elements = (
        element(0x0002, sop_class_uid.encode())
        + element(0x0100, struct.pack("<H", 1))
        + element(0x0110, struct.pack("<H", 1))
        + element(0x0700, struct.pack("<H", 0))
        + element(0x0800, struct.pack("<H", 1))
        + element(0x1000, sop_instance_uid.encode())
    )
    return element(0, struct.pack("<I", len(elements))) + elements


def _p_data(control: int, data: bytes) -> bytes:
    pdv = struct.pack(">IBB", len(data) + 2, _CONTEXT_ID, control) + data
    return struct.pack(">BxI", 4, len(pdv)) + pdv


class Template:
    """One C-STORE-RQ with its dataset as ready PDUs, cut to the peer's maximum length."""

    def __init__(
        self,
        dataset: bytes,
        sop_class_uid: str,
        max_pdu: int,
        sop_instance_uid: str = "",
        *,
        is_last: bool = True,
    ) -> None:
        uid = (sop_instance_uid or numbered_uid(0)).encode()
        room = (max_pdu or 131072) - 6
        message = _p_data(0x03, _command(sop_class_uid, uid.decode()))
        pieces = [dataset[at : at + room] for at in range(0, len(dataset), room)]
        for number, piece in enumerate(pieces, 1):
            message += _p_data(0x02 if is_last and number == len(pieces) else 0x00, piece)
        self._message = message
        self._places = _occurrences(message, uid)

    def copy(self) -> tuple[bytearray, list[int]]:
        """Bytes of its own for one association, and where its UID stands."""
        return bytearray(self._message), self._places


def _occurrences(message: bytes, uid: bytes) -> list[int]:
    places, at = [], message.find(uid)
    while at >= 0:
        places.append(at)
        at = message.find(uid, at + 1)
    return places


@dataclass(frozen=True, slots=True)
class Load:
    """How many instances of what go through how many associations; numbers start at `first`."""

    dataset: bytes
    sop_class_uid: str
    count: int
    associations: int
    first: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Seconds on the wall, and how many were answered with Success."""

    seconds: float
    succeeded: int

    @property
    def rate(self) -> float:
        """Instances a second."""
        return self.succeeded / self.seconds


def open_association(address: tuple[str, int], request: bytes) -> tuple[socket.socket, int]:
    """An accepted association and the peer's maximum PDU length; raises ConnectionError when it is refused."""
    connection = socket.create_connection(address, timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(request)
    kind, body = read_pdu(connection)
    if kind != 2:
        raise ConnectionError(f"the association was not accepted: PDU type {kind}")
    marker = body.rfind(b"\x51\x00\x00\x04")
    return connection, struct.unpack(">I", body[marker + 4 : marker + 8])[0]


def release(connection: socket.socket) -> None:
    """A-RELEASE, its answer, and the end of the connection."""
    connection.sendall(struct.pack(">BxI4x", 5, 4))
    read_pdu(connection)
    connection.close()


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """The next PDU: its type and what follows its length."""
    header = _read(connection, 6)
    kind, length = struct.unpack(">BxI", header)
    return kind, _read(connection, length)


def _read(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = connection.recv(length - len(data))
        if not chunk:
            raise ConnectionError("the peer closed the connection")
        data += chunk
    return data


def run_load(address: tuple[str, int], load: Load) -> LoadResult:
    """Send the load and wait for every answer; the associations are open before the clock starts."""
    request = associate_request(load.sop_class_uid, samples.EXPLICIT)
    opened = [open_association(address, request) for _ in range(load.associations)]
    template = Template(load.dataset, load.sop_class_uid, opened[0][1])
    succeeded = [0] * load.associations
    share = load.count // load.associations

    def work(position: int) -> None:
        connection = opened[position][0]
        message, places = template.copy()
        for number in range(share):
            uid = numbered_uid(load.first + position * share + number).encode()
            for place in places:
                message[place : place + len(uid)] = uid
            connection.sendall(message)
            succeeded[position] += b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00" in _status(
                connection
            )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(load.associations)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for connection, _ in opened:
        release(connection)
    return LoadResult(seconds, sum(succeeded))


def _status(connection: socket.socket) -> bytes:
    _, body = read_pdu(connection)
    return body


def dataset_with_uid_zero(**overrides: object) -> tuple[bytes, str]:
    """A 512 KiB CT dataset whose SOP Instance UID is number zero, and its SOP class."""
    file = samples.ct(SOPInstanceUID=numbered_uid(0), **overrides)  # type: ignore[arg-type]
    return file[file_meta_length(file) :], samples.CT_IMAGE


def file_meta_length(file: bytes) -> int:
    """Bytes of preamble and file meta of a Part 10 file with a group length."""
    return 144 + int(struct.unpack("<I", file[140:144])[0])
