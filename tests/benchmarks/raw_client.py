"""A DIMSE client that costs next to nothing: every PDU is encoded before the clock starts.

Into the ready bytes of a C-STORE only values of fixed length are written between two sends: UIDs, patient, date.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests import samples
from tests.benchmarks import raw_pdus

_UID_DIGITS = 24
_UID_PREFIX = "1.2.826.0.1.3680043.10.511."
TIMEOUT = 120.0
_A_ABORT = 7
SUCCESS = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"


def numbered_uid(number: int, kind: int = 1) -> str:
    """A UID of fixed length that carries `number`; 1 is for instances, 2 for studies, 3 for series."""
    return f"{_UID_PREFIX}{kind}{number:0{_UID_DIGITS}d}"


def associate_request(sop_class_uid: str, transfer_syntax_uid: str, called: str = "VNA") -> bytes:
    """An A-ASSOCIATE-RQ with one presentation context (PS3.8 9.3.2)."""
    return raw_pdus.associate_request([(sop_class_uid, transfer_syntax_uid)], called)


class Template:
    """One C-STORE-RQ with its dataset as ready PDUs, cut to the peer's maximum length.

    `fields` are the texts, all of them present, in whose place every copy writes its own of the same length; the
    first one is the SOP Instance UID.
    """

    def __init__(
        self,
        dataset: bytes,
        sop_class_uid: str,
        max_pdu: int,
        fields: Sequence[str] = (),
        *,
        is_last: bool = True,
    ) -> None:
        fields = fields or (numbered_uid(0),)
        command = raw_pdus.command(
            {
                raw_pdus.SOP_CLASS_UID: sop_class_uid,
                raw_pdus.COMMAND_FIELD: raw_pdus.C_STORE,
                raw_pdus.MESSAGE_ID: 1,
                raw_pdus.PRIORITY: 0,
                raw_pdus.DATA_SET_TYPE: 1,
                raw_pdus.SOP_INSTANCE_UID: fields[0],
            }
        )
        ready = bytearray(raw_pdus.message(1, command, dataset, max_pdu))
        if not is_last:
            _open_end(ready)
        self._message = bytes(ready)
        self._places = [occurrences(self._message, field.encode()) for field in fields]

    def copy(self) -> Message:
        """Bytes of its own for one association."""
        return Message(bytearray(self._message), self._places)


@dataclass(frozen=True, slots=True)
class Message:
    """A C-STORE-RQ whose fields can be written."""

    data: bytearray
    places: list[list[int]]

    def write(self, values: Sequence[str]) -> None:
        """Write the first fields; each value has the length of its field."""
        for places, value in zip(self.places, values, strict=False):
            encoded = value.encode()
            for place in places:
                self.data[place : place + len(encoded)] = encoded


def _open_end(message: bytearray) -> None:
    """Take the mark of the last fragment off the last PDU of a message."""
    at = 0
    while (following := at + 6 + int.from_bytes(message[at + 2 : at + 6], "big")) < len(message):
        at = following
    message[at + 11] &= 0xFD


def occurrences(message: bytes, text: bytes) -> list[int]:
    """Where `text` stands in `message`. Raises ValueError when it does nowhere."""
    places, at = [], message.find(text)
    while at >= 0:
        places.append(at)
        at = message.find(text, at + 1)
    if not places:
        raise ValueError(f"{text!r} does not stand in the message as a whole")
    return places


def open_association(address: tuple[str, int], request: bytes) -> tuple[socket.socket, int]:
    """An accepted association and the peer's maximum PDU length; raises ConnectionError when it is refused."""
    connection = socket.create_connection(address, timeout=TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(request)
    kind, body = read_pdu(connection)
    if kind != 2 or not raw_pdus.accepted_contexts(body):
        connection.close()
        raise ConnectionError(f"the association was not accepted: PDU type {kind}")
    return connection, raw_pdus.max_pdu_of(body)


def release(connection: socket.socket) -> None:
    """A-RELEASE, its answer, and the end of the connection."""
    connection.sendall(raw_pdus.pdu(5, bytes(4)))
    read_pdu(connection)
    connection.close()


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """The next PDU: its type and what follows its length."""
    header = _read(connection, 6)
    return header[0], _read(connection, int.from_bytes(header[2:], "big"))


def _read(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = connection.recv(length - len(data))
        if not chunk:
            raise ConnectionError("the peer closed the connection")
        data += chunk
    return data


Values = Callable[[int, int], Sequence[str]]
"""(association, number of the instance in it) -> what its fields get."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many instances of what go through how many associations; numbers start at `first`.

    The dataset holds the texts `fields`; `values` gives those of an instance. By default only SOP Instance UIDs differ.
    """

    dataset: bytes
    sop_class_uid: str
    count: int
    associations: int
    first: int
    fields: Sequence[str] = ()
    values: Values | None = None

    @property
    def share(self) -> int:
        """Instances that each association sends."""
        return self.count // self.associations

    def values_of(self, association: int, number: int) -> Sequence[str]:
        """The fields of one instance."""
        if self.values is not None:
            return self.values(association, number)
        return (numbered_uid(self.first + association * self.share + number),)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Seconds on the wall, how many were answered with Success, and what went wrong with others."""

    seconds: float
    succeeded: int
    failures: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Instances a second."""
        return self.succeeded / self.seconds


def run_load(address: tuple[str, int], load: Load, called: str = "VNA") -> LoadResult:
    """Send the load and wait for every answer; the associations are open before the clock starts.

    Each one is released as soon as it is done: a peer may serve no more than a few at once. An association that breaks
    off is missing among the successes.
    """
    request = associate_request(load.sop_class_uid, samples.EXPLICIT, called)
    opened = [open_association(address, request) for _ in range(load.associations)]
    template = Template(load.dataset, load.sop_class_uid, opened[0][1], load.fields)
    senders = [_Sender(connection, template.copy()) for connection, _ in opened]
    threads = [
        threading.Thread(target=sender.send, args=(load, position))
        for position, sender in enumerate(senders)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = max(sender.ended for sender in senders)
    failures = tuple(failure for sender in senders for failure in sender.failures)
    return LoadResult(ended - started, sum(sender.succeeded for sender in senders), failures)


class _Sender:
    """One association of a load."""

    def __init__(self, connection: socket.socket, message: Message) -> None:
        self._connection, self._message = connection, message
        self.succeeded = 0
        self.ended = 0.0
        self.failures: list[str] = []

    def send(self, load: Load, position: int) -> None:
        try:
            for number in range(load.share):
                self._message.write(load.values_of(position, number))
                self._connection.sendall(self._message.data)
                self._count(read_pdu(self._connection))
            self.ended = time.perf_counter()
            release(self._connection)
        except OSError as exc:
            self.failures.append(f"{type(exc).__name__}: {exc}")
            self.ended = self.ended or time.perf_counter()
            self._connection.close()

    def _count(self, answer: tuple[int, bytes]) -> None:
        kind, body = answer
        if kind == _A_ABORT:
            raise ConnectionAbortedError(f"A-ABORT with source and reason {body[2:4].hex()}")
        if SUCCESS in body:
            self.succeeded += 1
        else:
            elements = raw_pdus.command_elements(body[6:])
            status = raw_pdus.number_of(elements, raw_pdus.STATUS)
            self.failures.append(f"status 0x{status:04X}")


def dataset_with_uid_zero(**overrides: object) -> tuple[bytes, str]:
    """A 512 KiB CT dataset whose SOP Instance UID is number zero, and its SOP class."""
    file = samples.ct(SOPInstanceUID=numbered_uid(0), **overrides)  # type: ignore[arg-type]
    return file[file_meta_length(file) :], samples.CT_IMAGE


def file_meta_length(file: bytes) -> int:
    """Bytes of preamble and file meta of a Part 10 file with a group length."""
    return 144 + int.from_bytes(file[140:144], "little")
