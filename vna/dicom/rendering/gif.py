"""GIF files of one or several frames, written as the frames come."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

from PIL import Image

_HEADER, _TABLE_FLAG = 13, 0x80
_EXTENSION, _IMAGE = 0x21, 0x2C
_LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
_SHORTEST = 2
"""Hundredths of a second; viewers take less for a tenth."""


def write_gif(frames: Iterable[Image.Image], durations: Iterable[int]) -> bytes:
    """A film of `frames`, all of one size, each shown for so many milliseconds, again and again.

    Every frame that comes is one that goes out, also where it equals the one before.
    """
    out = io.BytesIO()
    first_table = b""
    for number, (frame, duration) in enumerate(zip(frames, durations, strict=True)):
        table, data, head = _single(frame)
        if number == 0:
            out.write(head + table + _LOOP)
            first_table = table
        delay = max(_SHORTEST, round(duration / 10))
        out.write(struct.pack("<BBBBHBB", _EXTENSION, 0xF9, 4, 0, delay, 0, 0))
        own = table if table != first_table else b""
        flags = (_TABLE_FLAG | (len(own) // 3).bit_length() - 2) if own else 0
        out.write(struct.pack("<BHHHHB", _IMAGE, 0, 0, *frame.size, flags) + own + data)
    out.write(b";")
    return out.getvalue()


def _single(frame: Image.Image) -> tuple[bytes, bytes, bytes]:
    """Colour table, compressed data and file header of `frame` as a GIF of its own."""
    buffer = io.BytesIO()
    frame.save(buffer, "GIF", interlace=0, optimize=False)
    data = buffer.getvalue()
    flags = data[10]
    stop = _HEADER + _table_length(flags)
    table, position = data[_HEADER:stop], stop
    while data[position] == _EXTENSION:
        position = _behind_blocks(data, position + 2)
    local = data[position + 9]
    start = position + 10 + _table_length(local)
    table = data[position + 10 : start] or table
    head = b"GIF89a" + data[6:10] + bytes([0xF0 | (len(table) // 3).bit_length() - 2]) + bytes(2)
    return table, data[start : _behind_blocks(data, start + 1)], head


def _table_length(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & _TABLE_FLAG else 0


def _behind_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += data[position] + 1
    return position + 1
