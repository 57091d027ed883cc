"""Where each frame of an instance lies inside its stored object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Uncompressed frames of `bits` each, one behind the other from byte `offset` of the object.

    Frames need not start on a byte (1-bit segmentations); `length` is the byte length of the pixel data.
    """

    offset: int
    length: int
    bits: int
    count: int

    def span(self, number: int) -> tuple[int, int]:
        """(offset, length) in bytes of the object that hold frame `number` (from 1), rounded out to bytes."""
        first_bit = (number - 1) * self.bits
        start = first_bit // 8
        stop = -(-(first_bit + self.bits) // 8)
        return self.offset + start, max(0, min(stop, self.length) - start)


@dataclass(frozen=True, slots=True)
class EncapsulatedFrames:
    """Compressed frames: each span covers the item headers and fragments of one frame (PS3.5 A.4).

    `starts` has one more entry than there are frames: frame n lies in [starts[n-1], starts[n]).
    """

    starts: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    def span(self, number: int) -> tuple[int, int]:
        """(offset, length) in bytes of the object that hold the items of frame `number` (from 1)."""
        return self.starts[number - 1], self.starts[number] - self.starts[number - 1]


FrameTable = NativeFrames | EncapsulatedFrames

_NATIVE = b"N"
_NATIVE_IN_SHORT = b"n"
_ENCAPSULATED = b"E"


def pack_frames(table: FrameTable, *, in_short: bool = False) -> bytes:
    """The frame table as bytes for the index. `in_short`: numbers of native ones as the bytes they need, each behind
    their count, which versions before the shared attributes of series can't read.
    """
    match table:
        case NativeFrames(offset, length, bits, count) if in_short:
            return _NATIVE_IN_SHORT + b"".join(map(_in_short, (offset, length, bits, count)))
        case NativeFrames(offset, length, bits, count):
            return _NATIVE + np.array([offset, length, bits, count], "<u8").tobytes()
        case EncapsulatedFrames(starts):
            return _ENCAPSULATED + np.array(starts, "<u8").tobytes()


def unpack_frames(packed: bytes) -> FrameTable:
    """The inverse of `pack_frames`."""
    if packed[:1] == _NATIVE_IN_SHORT:
        return NativeFrames(*_numbers_in_short(bytes(packed[1:])))
    numbers = np.frombuffer(packed, "<u8", offset=1).tolist()
    if packed[:1] == _NATIVE:
        return NativeFrames(*numbers)
    return EncapsulatedFrames(tuple(numbers))


def _in_short(number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    return bytes((size,)) + number.to_bytes(size, "little")


def _numbers_in_short(packed: bytes) -> Iterator[int]:
    while packed:
        stop = packed[0] + 1
        yield int.from_bytes(packed[1:stop], "little")
        packed = packed[stop:]
