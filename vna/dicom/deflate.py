"""Bounded inflation of deflated datasets (PS3.5 A.5): a small stream can hold gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vna.dicom.encoding import Buffer

FIRST_BYTES = 256 * 2**10
MAX_HEADER_BYTES = 64 * 2**20
if TYPE_CHECKING:
    from zlib import _Decompress as _Stream

_CHUNK = 64 * 2**10
_PIECE = 2**20
_PROBE = 4096
_RAW, _WRAPPED = -zlib.MAX_WBITS, zlib.MAX_WBITS | 32


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
    for window in (_RAW, _WRAPPED):
        result = _inflate(buffer, offset, limit, window)
        if len(result.data) > len(best.data) or not result.is_damaged:
            best = result
        if best.data:
            break
    return best


def _inflate(buffer: Buffer, offset: int, limit: int, window: int) -> Inflated:
    inflation = Inflation(buffer, offset, limit, window)
    data = b"".join(inflation)
    return Inflated(data, is_whole=inflation.is_whole, is_damaged=inflation.is_damaged)


class Inflation:
    """As `inflate`, piece by piece: of what is gone through nothing is held."""

    def __init__(self, buffer: Buffer, offset: int, limit: int, window: int | None = None) -> None:
        """`window`: the `wbits` of zlib, found out where they are not known."""
        self._buffer, self._position = buffer, offset
        self._room = limit
        known = window_of(buffer[offset : offset + _CHUNK]) if window is None else window
        self._stream = Inflater(known)

    @property
    def is_whole(self) -> bool:
        """Whether nothing follows what was gone through."""
        return self._stream.is_whole

    @property
    def is_damaged(self) -> bool:
        """Whether the stream broke off."""
        return self._stream.is_damaged or (not self._stream.is_over and self._room > 0)

    def __iter__(self) -> Iterator[bytes]:
        stream, size = self._stream, len(self._buffer)
        while self._room > 0 and not stream.is_over and (self._position < size or stream.pending):
            if not stream.pending:
                stream.pending = bytes(self._buffer[self._position : self._position + _CHUNK])
                self._position += len(stream.pending)
            part = stream.inflate(min(self._room, _PIECE))
            self._room -= len(part)
            yield part


class Inflater:
    """Inflates what is put into `pending`, up to where the stream is damaged, but for a byte."""

    __slots__ = ("_stream", "is_damaged", "pending")

    def __init__(self, window: int) -> None:
        self.pending = b""
        self.is_damaged = False
        self._stream = zlib.decompressobj(window)

    @property
    def is_whole(self) -> bool:
        """Whether the end of the stream was reached."""
        return self._stream.eof and not self.is_damaged

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.is_whole or self.is_damaged

    def inflate(self, room: int) -> bytes:
        """The next `room` bytes at most. Never raises."""
        before = self._stream.copy()
        try:
            data = self._stream.decompress(self.pending, room)
        except zlib.error:
            self.is_damaged = True
            data, self.pending = _before_damage(before, self.pending, room, _CHUNK), b""
        else:
            self.pending = self._stream.unconsumed_tail
        return data


def _before_damage(stream: _Stream, pending: bytes, room: int, step: int) -> bytes:
    """What `stream` still gives: zlib tells of an error instead of giving what came before it, so it
    is asked for less and less.
    """
    parts: list[bytes] = []
    while room > 0:
        before = stream.copy()
        try:
            part = stream.decompress(pending, min(step, room))
        except zlib.error:
            if step > 1:
                parts.append(_before_damage(before, pending, min(step, room), max(1, step // 64)))
            break
        pending = stream.unconsumed_tail
        parts.append(part)
        room -= len(part)
        if not part:
            break
    return b"".join(parts)


def inflated_object(buffer: Buffer, dataset_offset: int, limit: int = MAX_HEADER_BYTES) -> bytes:
    """The object with its dataset inflated (`limit` bytes of it at most): positions of a layout fit
    into it.
    """
    return bytes(buffer[:dataset_offset]) + inflate(buffer, dataset_offset, limit).data


def starts_like_deflate(buffer: Buffer, offset: int) -> bytes:
    """The first few inflated bytes at `offset`, empty when it is no deflate stream."""
    return inflate(buffer, offset, _PROBE).data


def window_of(first: Buffer) -> int:
    """The `wbits` of zlib with which the stream that begins with `first` is read, as by `inflate`."""
    return _RAW if _inflate(first, 0, _PROBE, _RAW).data else _WRAPPED
