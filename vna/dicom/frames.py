"""The frame table: where each frame lies in native and in encapsulated pixel data (PS3.5 A.4, PS3.3
C.7.6.3).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vna.dicom.encoding import ITEM, SEQUENCE_END, Sliceable
from vna.model.frames import EncapsulatedFrames, FrameTable, NativeFrames

MAX_FRAGMENTS = 4_000_000
MAX_FRAMES = 4_000_000
_ITEM_HEADER = struct.Struct("<HHI").unpack
_STARTS = (
    b"\xff\xd8\xff",  # JPEG, JPEG-LS
    b"\xff\x4f\xff\x51",  # JPEG 2000 and HTJ2K code streams
    b"\x00\x00\x00\x0cjP",  # JP2
    b"\xff\x0a",  # JPEG XL code stream
    b"\x00\x00\x00\x0cJXL",
)
_HALF_CHROMA = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_QUARTER_CHROMA = "YBR_PARTIAL_420"


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """What the header says of the pixel data; 0 where it says nothing usable."""

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    photometric_interpretation: str
    number_of_frames: int

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame, 0 when unknown; subsampled colour counts what is stored (PS3.3
        C.7.6.3.1.2).
        """
        pixels = self.rows * self.columns * self.bits_allocated
        samples = self.samples_per_pixel or 1
        if samples == 3 and self.photometric_interpretation in _HALF_CHROMA:
            return pixels * 2
        if samples == 3 and self.photometric_interpretation == _QUARTER_CHROMA:
            return pixels * 3 // 2
        return pixels * samples


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixel data found: the length of its value (no delimiter), the first byte behind it, its frame
    table.
    """

    length: int
    tail_offset: int
    frames: FrameTable | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fragments:
    """Offsets of the item headers behind the offset table, and of the end of the last one."""

    starts: array[int]
    end: int
    table: bytes
    tail_offset: int
    warnings: list[str]


def native_pixels(offset: int, length: int, available: int, facts: PixelFacts) -> Pixels:
    """Uncompressed pixel data of `length` bytes (as declared) of which `available` are there."""
    warnings = []
    present = min(length, available)
    if present < length:
        warnings.append(f"pixel data is cut off: {present} of {length} bytes")
    bits = facts.frame_bits
    if facts.samples_per_pixel == 3 and bits and facts.photometric_interpretation in _HALF_CHROMA:
        full = facts.rows * facts.columns * 3 * facts.bits_allocated
        bits = full if length * 8 == full * max(1, facts.number_of_frames) else bits
    frames: FrameTable | None = None
    if bits:
        frames, notes = _native_frames(
            (offset, present), bits, facts.number_of_frames, is_cut=present < length
        )
        warnings += notes
    elif present:
        warnings.append(
            "the size of a frame is unknown: Rows, Columns or Bits Allocated is missing"
        )
        if facts.number_of_frames <= 1:
            frames = NativeFrames(offset, present, present * 8, 1)
    return Pixels(present, offset + present, frames, tuple(warnings))


def _native_frames(
    span: tuple[int, int], bits: int, declared: int, *, is_cut: bool
) -> tuple[NativeFrames | None, list[str]]:
    offset, length = span
    count = declared or max(1, length * 8 // bits)
    expected = -(-bits * count // 8)
    notes = []
    if length < expected and not is_cut:
        notes.append(f"pixel data has {length} bytes, {expected} are needed")
    elif length > expected + expected % 2:
        notes.append(f"pixel data has {length} bytes, only {expected} are needed")
    count = min(count, -(-length * 8 // bits))
    return (NativeFrames(offset, length, bits, count) if count else None), notes


def encapsulated_pixels(
    buffer: Sliceable,
    offset: int,
    number_of_frames: int,
    *,
    is_stream: bool = False,
    extended: tuple[bytes, bytes] | None = None,
) -> Pixels:
    """Fragments from `offset` on. `number_of_frames` 0: not known. `extended`: values of
    (7FE0,0001) and 0002.

    `is_stream`: a video, whose fragments have no frames of their own. An offset table counts only
    when it leads to fragments; otherwise frames are found by counting fragments, then by the marks
    with which they begin.
    """
    fragments = _walk(buffer, offset)
    end = fragments.end
    if is_stream or not fragments.starts:
        warnings = fragments.warnings
        if not fragments.starts:
            warnings = [*warnings, "pixel data has no fragments"]
        return Pixels(end - offset, fragments.tail_offset, None, tuple(warnings))
    firsts, notes = _first_fragments(buffer, fragments, number_of_frames, extended)
    frames = EncapsulatedFrames((*firsts, end)) if firsts else None
    return Pixels(end - offset, fragments.tail_offset, frames, (*fragments.warnings, *notes))


def _walk(buffer: Sliceable, offset: int) -> _Fragments:
    size, position = len(buffer), offset
    starts = array("Q")
    warnings: list[str] = []
    end = tail = offset
    while position + 8 <= size:
        group, number, length = _ITEM_HEADER(buffer[position : position + 8])
        tag = group << 16 | number
        if tag == SEQUENCE_END:
            tail = position + 8
            break
        if tag != ITEM:
            position = _after_odd_fragment(buffer, position, size)
            if position < 0:
                warnings.append("something that is no fragment stands in the pixel data")
                break
            warnings.append("a fragment has an odd length")
            continue
        starts.append(position)
        position += 8 + length
        end = tail = min(position, size)
        if len(starts) > MAX_FRAGMENTS:
            warnings.append(f"more than {MAX_FRAGMENTS} fragments")
            break
    if tail == end:
        cut = position > size
        warnings.append("the last fragment is cut off" if cut else "pixel data has no delimiter")
    table = _table_bytes(buffer, starts, size)
    return _Fragments(starts[1:], end, table, tail, list(dict.fromkeys(warnings)))


def _after_odd_fragment(buffer: Sliceable, position: int, size: int) -> int:
    """Where the next item begins when padding was not counted, or counted but not written; -1:
    nowhere near.
    """
    for near in (position + 1, position - 1):
        if 0 <= near <= size - 8:
            group, number, _ = _ITEM_HEADER(buffer[near : near + 8])
            if group << 16 | number in {ITEM, SEQUENCE_END}:
                return near
    return -1


def _table_bytes(buffer: Sliceable, starts: Sequence[int], size: int) -> bytes:
    if not starts:
        return b""
    first = starts[0]
    length = _ITEM_HEADER(buffer[first : first + 8])[2]
    return bytes(buffer[first + 8 : min(first + 8 + min(length, 4 * MAX_FRAMES), size)])


def _first_fragments(
    buffer: Sliceable,
    fragments: _Fragments,
    declared: int,
    extended: tuple[bytes, bytes] | None,
) -> tuple[list[int], list[str]]:
    """The item offset with which each frame begins."""
    starts = fragments.starts
    notes: list[str] = []
    if extended is not None:
        found = _by_table(array("Q", _whole(extended[0], 8)), fragments, declared)
        if found:
            return found, notes
        notes.append("the extended offset table is wrong")
    if fragments.table:
        found = _by_table(array("I", _whole(fragments.table, 4)), fragments, declared)
        if found:
            return found, notes
        notes.append("the basic offset table is wrong")
    if declared == len(starts):
        return list(starts), notes
    if declared == 1:
        return [starts[0]], notes
    return _by_marks(buffer, starts, declared, notes)


def _whole(data: bytes, size: int) -> bytes:
    return data[: len(data) // size * size]


def _by_table(offsets: array[int], fragments: _Fragments, declared: int) -> list[int]:
    """Absolute item offsets of a table that fits the fragments and the number of frames, else
    nothing.
    """
    starts = fragments.starts
    if not offsets or offsets[0] != 0 or (declared and len(offsets) != declared):
        return []
    base, known = starts[0], set(starts)
    absolute = [base + offset for offset in offsets]
    ascending = all(a < b for a, b in pairwise(absolute))
    return absolute if ascending and known.issuperset(absolute) else []


def _by_marks(
    buffer: Sliceable, starts: Sequence[int], declared: int, notes: list[str]
) -> tuple[list[int], list[str]]:
    marked = [s for s in starts if bytes(buffer[s + 8 : s + 16]).startswith(_STARTS)]
    if marked and marked[0] != starts[0]:
        marked.insert(0, starts[0])
    if marked and len(marked) == (declared or len(marked)):
        return marked, notes
    if declared > len(starts):
        notes.append(f"{len(starts)} fragments for {declared} frames")
        return list(starts), notes
    if not declared:
        return [starts[0]], notes
    notes.append(f"{len(starts)} fragments can't be told apart into {declared} frames")
    return [], notes
