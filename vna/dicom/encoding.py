"""How a dataset is written: implicit or explicit VR, byte order, delimiters (PS3.5 7.1, 7.5)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap
from typing import Protocol

from vna.dicom.vrs import CODES

Buffer = bytes | bytearray | memoryview | mmap


class Sliceable(Protocol):
    """A buffer, or what else can be had slice by slice."""

    def __len__(self) -> int: ...
    def __getitem__(self, span: slice, /) -> Buffer: ...


UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

EXPLICIT_HEADER = (struct.Struct("<HH2sH").unpack_from, struct.Struct(">HH2sH").unpack_from)
IMPLICIT_HEADER = (struct.Struct("<HHI").unpack_from, struct.Struct(">HHI").unpack_from)
LONG = (struct.Struct("<I").unpack_from, struct.Struct(">I").unpack_from)
"""Readers of an element's first 8 bytes and of a 32-bit length, by `big_endian`."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written."""

    implicit: bool
    big_endian: bool

    @property
    def code(self) -> int:
        """A small number for it: an index into `BY_CODE`."""
        return self.implicit | self.big_endian << 1


EXPLICIT_LITTLE = Encoding(implicit=False, big_endian=False)
IMPLICIT_LITTLE = Encoding(implicit=True, big_endian=False)
EXPLICIT_BIG = Encoding(implicit=False, big_endian=True)
IMPLICIT_BIG = Encoding(implicit=True, big_endian=True)
BY_CODE = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_BIG)


def peek(buffer: Buffer, position: int, end: int) -> Encoding | None:
    """Which encoding the element at `position` seems to have; None when it looks like none."""
    if position + 8 > end:
        return None
    group, _, vr, _ = EXPLICIT_HEADER[0](buffer, position)
    swapped = (group & 0xFF) << 8 | group >> 8
    if vr in CODES:
        return EXPLICIT_BIG if swapped < group else EXPLICIT_LITTLE
    for plausible, encoding in ((group, IMPLICIT_LITTLE), (swapped, IMPLICIT_BIG)):
        length = LONG[encoding.big_endian](buffer, position + 4)[0]
        if plausible < 0x0080 and (length == UNDEFINED_LENGTH or position + 8 + length <= end):
            return encoding
    return None
