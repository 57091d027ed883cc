"""From messages to P-DATA-TF PDUs: cut to what the peer takes, without copying the dataset (PS3.8
9.3.5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from vna.dimse.pdu import PDV_HEADER_LENGTH, PduType

MAX_FRAGMENT_LENGTH = 262144
MIN_FRAGMENT_LENGTH = 2
_SMALL = 16384
_HEADERS = struct.Struct(">BxIIBB")
_COMMAND, _LAST = 1, 2


@runtime_checkable
class Reader(Protocol):
    """Anything with `read(n) -> bytes`, b"" at its end."""

    def read(self, size: int, /) -> bytes: ...


Buffer = bytes | bytearray | memoryview
Data = Buffer | Reader | Iterable[Buffer] | None


def fragment_length(peer_max_pdu_length: int) -> int:
    """How many bytes of a message go into one PDU: even, 256 KiB at most, 0 from the peer meaning
    no limit.
    """
    if peer_max_pdu_length == 0:
        return MAX_FRAGMENT_LENGTH
    room = min(peer_max_pdu_length - PDV_HEADER_LENGTH, MAX_FRAGMENT_LENGTH)
    return max(room, MIN_FRAGMENT_LENGTH) & ~1


def message_pdus(
    context_id: int, command: bytes, data: Data, peer_max_pdu_length: int
) -> Iterator[tuple[Buffer, Buffer]]:
    """The PDUs of a whole message in order, each as (header, fragment), command first.

    A source that ends with an odd length ends so in the last fragment; all others are even, as some
    receivers insist.
    """
    size = fragment_length(peer_max_pdu_length)
    yield from _buffer_pdus(context_id, _COMMAND, command, size)
    if isinstance(data, (bytes, bytearray, memoryview)):
        yield from _buffer_pdus(context_id, 0, data, size)
    elif data is not None:
        yield from _pdus(context_id, 0, _even(_chunks(data, size), size))


def _buffer_pdus(
    context_id: int, control: int, data: Buffer, size: int
) -> Iterator[tuple[Buffer, Buffer]]:
    """What lies in memory as a whole is cut without looking for its end; full PDUs share a header."""
    view = memoryview(data).cast("B")
    last = (len(view) - 1) // size * size if len(view) else 0
    header = _header(context_id, control, size)
    for start in range(0, last, size):
        yield header, view[start : start + size]
    yield _header(context_id, control | _LAST, len(view) - last), view[last:]


def alike_messages(
    context_id: int, command: bytes, datasets: Iterable[Buffer], peer_max_pdu_length: int
) -> Iterator[tuple[Buffer, ...]]:
    """A message for each dataset, all with the same command: whole PDUs, joined where they are small."""
    size = fragment_length(peer_max_pdu_length)
    head = b"".join(b"".join(pdu) for pdu in _pdus(context_id, _COMMAND, _cut(command, size)))
    for data in datasets:
        length = len(data)
        if length <= min(size, _SMALL):
            yield (b"".join((head, _header(context_id, _LAST, length), data)),)
        else:
            yield (head,)
            yield from _pdus(context_id, 0, _cut(data, size))


def _pdus(
    context_id: int, control: int, pieces: Iterator[memoryview]
) -> Iterator[tuple[Buffer, Buffer]]:
    """One PDU a piece; one piece is held back to know which is the last."""
    held = next(pieces, memoryview(b""))
    for piece in pieces:
        yield _header(context_id, control, len(held)), held
        held = piece
    yield _header(context_id, control | _LAST, len(held)), held


def _header(context_id: int, control: int, length: int) -> bytes:
    return _HEADERS.pack(PduType.P_DATA_TF, length + 6, length + 2, context_id, control)


def _chunks(data: Reader | Iterable[Buffer], size: int) -> Iterator[Buffer]:
    if isinstance(data, Reader):
        yield from _read_all(data, size)
    else:
        yield from data


def _read_all(reader: Reader, size: int) -> Iterator[bytes]:
    step = MAX_FRAGMENT_LENGTH // size * size  # large reads whatever the fragments
    while chunk := reader.read(step):
        yield chunk


def _cut(data: Buffer, size: int) -> Iterator[memoryview]:
    view = memoryview(data).cast("B")
    return (view[start : start + size] for start in range(0, len(view), size))


def _even(chunks: Iterable[Buffer], size: int) -> Iterator[memoryview]:
    """Chunks cut to `size`; an odd byte at a chunk's end travels with the next chunk's first."""
    odd = b""
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        if odd and view:
            yield memoryview(odd + bytes(view[:1]))
            view, odd = view[1:], b""
        if len(view) % 2:
            odd, view = bytes(view[-1:]), view[:-1]
        yield from _cut(view, size)
    if odd:
        yield memoryview(odd)
