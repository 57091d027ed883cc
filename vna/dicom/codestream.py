"""Fragments of encapsulated pixel data, and what a compressed frame says of itself (PS3.5 A.4)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Buffer = bytes | memoryview

_ITEM = b"\xfe\xff\x00\xe0"
_JP2 = b"\x00\x00\x00\x0cjP  "
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", _JP2)
_SOF_JPEG_LS = 0xF7
_SOF_MARKERS = frozenset({_SOF_JPEG_LS, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FILL = re.compile(rb"\xff+")
_APP14 = 0xEE
_MAX_SEGMENTS = 1024


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size and colour as a JPEG, JPEG-LS or JPEG 2000 frame header declares them.

    `offset`: where that header stands. `precision`: bits of a sample, 0 for JPEG 2000. `transform`: of
    colours, as an Adobe marker segment names it (0 none, 1 YCbCr), -1 without one.
    """

    rows: int
    columns: int
    samples: int
    offset: int = 0
    precision: int = 0
    is_jpeg_ls: bool = False
    is_rgb: bool = False
    is_jfif: bool = False
    transform: int = -1


def split_items(data: Buffer) -> list[bytes]:
    """The values of the items in `data` (a span of encapsulated pixel data), without their headers.

    Stops at a sequence delimiter or at anything that is no item; a cut last item gives what is
    there.
    """
    return [bytes(data[start:stop]) for _, start, stop in item_spans(data)]


def item_spans(data: Buffer) -> Iterator[tuple[int, int, int]]:
    """(start of the item header, start of its value, end of its value) in `data`, in order."""
    position, end = 0, len(data)
    while position + 8 <= end and bytes(data[position : position + 4]) == _ITEM:
        start = position + 8
        (length,) = struct.unpack_from("<I", data, position + 4)
        yield position, start, min(start + length, end)
        position = start + length


def frame_fragments(
    data: memoryview, count: int, starts: Sequence[int] = ()
) -> list[list[memoryview]]:
    """The fragments of each of `count` frames in the value of an encapsulated PixelData element.

    `starts` are the frame offsets of an extended offset table; else the basic offset table, then
    the number of fragments, then the frame markers inside them decide. An empty list when all of
    that contradicts `count`.
    """
    spans = list(item_spans(data))
    if not spans:
        return []
    _, table_start, table_stop = spans[0]
    fragments = [(offset - table_stop, data[start:stop]) for offset, start, stop in spans[1:]]
    if count == 1:
        return [[fragment for _, fragment in fragments]] if fragments else []
    if len(fragments) == count:
        return [[fragment] for _, fragment in fragments]
    table_length = (table_stop - table_start) // 4
    basic = struct.unpack_from(f"<{table_length}I", data, table_start)
    for offsets in (starts, basic, _marked(fragments)):
        if offsets and len(offsets) == count and offsets[0] == 0:
            return _grouped(fragments, offsets)
    return []


def _marked(fragments: list[tuple[int, memoryview]]) -> list[int]:
    return [offset for offset, data in fragments if bytes(data[:8]).startswith(_STARTS)]


def _grouped(
    fragments: list[tuple[int, memoryview]], offsets: Sequence[int]
) -> list[list[memoryview]]:
    groups: list[list[memoryview]] = []
    known = set(offsets)
    for offset, data in fragments:
        if offset in known:
            groups.append([])
        groups[-1].append(data)
    return groups if len(groups) == len(offsets) else []


def read_codestream(frame: bytes) -> Codestream | None:
    """What the header of a codestream declares; None when it is no kind of JPEG.

    It is read as decoders read it: what one of them might take for another header is none here.
    """
    try:
        if frame.startswith(b"\xff\xd8"):
            return _read_jpeg(frame)
        return _read_jpeg_2000(frame) if frame.startswith(b"\xff\x4f\xff\x51") else None
    except (struct.error, IndexError):
        return None


def _read_jpeg(frame: bytes) -> Codestream | None:
    position, is_jfif, transform = 2, False, -1
    for _ in range(_MAX_SEGMENTS):
        position = _marker(frame, position)
        marker = frame[position + 1]
        if marker in _STANDALONE:
            position += 2
            continue
        if marker in _SOF_MARKERS:
            return _jpeg_header(frame, position, is_jfif, transform)
        is_jfif = is_jfif or frame[position + 4 : position + 8] == b"JFIF"
        if marker == _APP14 and frame[position + 4 : position + 9] == b"Adobe":
            transform = frame[position + 15]
        position += 2 + int(struct.unpack_from(">H", frame, position + 2)[0])
    return None


def _marker(frame: bytes, position: int) -> int:
    """Where the marker at `position` begins, behind its fill bytes. Raises IndexError."""
    fill = _FILL.match(frame, position)
    if fill is None or frame[fill.end()] == 0:  # a stuffed zero is no marker
        raise IndexError
    return fill.end() - 1


def _jpeg_header(frame: bytes, position: int, is_jfif: bool, transform: int) -> Codestream:
    precision, rows, columns, samples = struct.unpack_from(">BHHB", frame, position + 4)
    ids = frame[position + 10 : position + 10 + 3 * samples : 3]
    return Codestream(
        rows,
        columns,
        samples,
        offset=position,
        precision=precision,
        is_jpeg_ls=frame[position + 1] == _SOF_JPEG_LS,
        is_rgb=ids.upper() == b"RGB",
        is_jfif=is_jfif,
        transform=transform,
    )


def _read_jpeg_2000(frame: bytes) -> Codestream:
    """SIZ is the second marker segment (ISO 15444-1 A.5.1)."""
    x_size, y_size, x_offset, y_offset = struct.unpack_from(">IIII", frame, 8)
    (samples,) = struct.unpack_from(">H", frame, 40)
    return Codestream(y_size - y_offset, x_size - x_offset, samples)
