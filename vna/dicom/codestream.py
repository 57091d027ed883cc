"""Fragments of encapsulated pixel data, and what a compressed frame says of itself (PS3.5 A.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Buffer = bytes | memoryview

_ITEM = b"\xfe\xff\x00\xe0"
_JP2 = b"\x00\x00\x00\x0cjP  "
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", _JP2)
_SOF_MARKERS = frozenset({0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_MAX_SEGMENTS = 1024
_BOX_HEADER = 8


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size and colour as a JPEG, JPEG-LS or JPEG 2000 frame header declares them."""

    rows: int
    columns: int
    samples: int
    is_rgb: bool = False
    is_jfif: bool = False


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
    """What the header of a compressed frame declares; None when it is no kind of JPEG."""
    try:
        if frame.startswith(b"\xff\xd8"):
            return _read_jpeg(frame)
        start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
        return _read_jpeg_2000(frame, start) if start >= 0 else None
    except (struct.error, IndexError):
        return None


def _read_jpeg(frame: bytes) -> Codestream | None:
    position, is_jfif = 2, False
    for _ in range(_MAX_SEGMENTS):
        while frame[position] == 0xFF and frame[position + 1] == 0xFF:  # fill bytes
            position += 1
        marker = frame[position + 1]
        if frame[position] != 0xFF:
            return None
        if marker in _STANDALONE:
            position += 2
            continue
        if marker in _SOF_MARKERS:
            rows, columns, samples = struct.unpack_from(">HHB", frame, position + 5)
            ids = frame[position + 10 : position + 10 + 3 * samples : 3]
            return Codestream(rows, columns, samples, ids.upper() == b"RGB", is_jfif)
        is_jfif = is_jfif or frame[position + 4 : position + 8] == b"JFIF"
        position += 2 + int(struct.unpack_from(">H", frame, position + 2)[0])
    return None


def _read_jpeg_2000(frame: bytes, start: int) -> Codestream:
    """SIZ is the second marker segment (ISO 15444-1 A.5.1)."""
    x_size, y_size, x_offset, y_offset = struct.unpack_from(">IIII", frame, start + 8)
    (samples,) = struct.unpack_from(">H", frame, start + 40)
    return Codestream(y_size - y_offset, x_size - x_offset, samples)


def has_broken_boxes(frame: bytes) -> bool:
    """Whether the boxes of a JP2 file do not lead to its codestream (ISO 15444-1 I.4).

    pydicom steps over them by their lengths: with one of zero it would do so for ever.
    """
    if not frame.startswith(_JP2):
        return False
    position = len(_JP2) + 4
    while position < len(frame) and frame[position + 4 : position + 8] != b"jp2c":
        length = int.from_bytes(frame[position : position + 4], "big")
        if length < _BOX_HEADER:
            return True
        position += length
    return position >= len(frame)


def with_whole_spectrum(frame: bytes) -> bytes:
    """A sequential JPEG whose scan header does not name all 64 coefficients, with that put right.

    Some encoders leave Ss, Se at 0, 0 in SOF0 and SOF1 streams, where ISO 10918-1 B.2.3 fixes them
    at 0, 63; libjpeg refuses those.
    """
    scan = _first_scan(frame)
    if not scan or frame[scan : scan + 2] == b"\0\x3f" or len(frame) < scan + 2:
        return frame
    return frame[:scan] + b"\0\x3f" + frame[scan + 2 :]


def _first_scan(frame: bytes) -> int:
    """Position of Ss in the first scan header of a SOF0 or SOF1 stream, else 0."""
    position, is_sequential = 2, False
    try:
        while frame[position] == 0xFF:
            marker = frame[position + 1]
            if marker == 0xDA:
                return position + 5 + 2 * frame[position + 4] if is_sequential else 0
            is_sequential = is_sequential or marker in {0xC0, 0xC1}
            position += 2 + int(struct.unpack_from(">H", frame, position + 2)[0])
    except (struct.error, IndexError):
        pass
    return 0
