"""Bounded inflation of deflated datasets (PS3.5 A.5): a small stream can hold gigabytes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from vna.dicom.encoding import Buffer

FIRST_BYTES = 256 * 2**10
MAX_HEADER_BYTES = 64 * 2**20
_CHUNK = 64 * 2**10
_PROBE = 4096
_WINDOWS = (-zlib.MAX_WBITS, zlib.MAX_WBITS | 32)


@dataclass(frozen=True, slots=True)
class Inflated:
    """The first bytes of an inflated dataset. `is_whole`: nothing follows; `is_damaged`: the stream
    broke off.
    """

    data: bytes
    is_whole: bool
    is_damaged: bool


def inflate(buffer: Buffer, offset: int, limit: int = MAX_HEADER_BYTES) -> Inflated:
    """At most `limit` bytes of the deflate stream that begins at `offset`; raw, or with a zlib or
    gzip header.

    Never raises and never holds more than `limit` plus one chunk, whatever the stream expands to.
    """
    best = Inflated(b"", is_whole=False, is_damaged=True)
    for window in _WINDOWS:
        result = _inflate(buffer, offset, limit, window)
        if len(result.data) > len(best.data) or not result.is_damaged:
            best = result
        if best.data:
            break
    return best


def _inflate(buffer: Buffer, offset: int, limit: int, window: int) -> Inflated:
    stream = zlib.decompressobj(window)
    parts: list[bytes] = []
    room = limit
    position, size = offset, len(buffer)
    pending: bytes = b""
    try:
        while room > 0 and not stream.eof and (position < size or pending):
            if not pending:
                pending = bytes(buffer[position : position + _CHUNK])
                position += len(pending)
            part = stream.decompress(pending, room)
            pending = stream.unconsumed_tail
            parts.append(part)
            room -= len(part)
    except zlib.error:
        return Inflated(b"".join(parts), is_whole=False, is_damaged=True)
    ended = stream.eof
    return Inflated(b"".join(parts), is_whole=ended, is_damaged=not ended and room > 0)


def inflated_object(buffer: Buffer, dataset_offset: int, limit: int = MAX_HEADER_BYTES) -> bytes:
    """The object with its dataset inflated (`limit` bytes of it at most): positions of a layout fit
    into it.
    """
    return bytes(buffer[:dataset_offset]) + inflate(buffer, dataset_offset, limit).data


def starts_like_deflate(buffer: Buffer, offset: int) -> bytes:
    """The first few inflated bytes at `offset`, empty when it is no deflate stream."""
    return inflate(buffer, offset, _PROBE).data
