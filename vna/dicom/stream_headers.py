"""What a compressed image says of itself: the attributes and transfer syntaxes that it fits (PS3.5 8.2, A.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

Buffer = bytes | memoryview

_UID = "1.2.840.10008.1.2.4."
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_MAX_SEGMENTS, _MAX_BITS = 4096, 38
_SOS, _APP0, _APP14, _EOI = 0xDA, 0xE0, 0xEE, 0xD9
_SOF = frozenset({0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOC, _SIZ, _COD, _CAP, _SOT = 0xFF4F, 0xFF51, 0xFF52, 0xFF50, 0xFF90
_HAS_PARTS, _HAS_HT = 0x4000, 0x00020000
_REVERSIBLE = 1


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """`syntaxes`: the transfer syntaxes it may be stored in, the most telling first; none for a kind that DICOM
    has no syntax in force for.

    `photometric`: Photometric Interpretation (0028,0004) of its samples as they are in the stream.
    `number_of_frames` and `frame_time` (milliseconds) are those of a video.
    """

    syntaxes: tuple[str, ...]
    rows: int = 0
    columns: int = 0
    samples: int = 0
    bits_stored: int = 0
    is_signed: bool = False
    photometric: str = ""
    number_of_frames: int = 1
    frame_time: float = 0.0


def read_stream_header(data: Buffer) -> StreamHeader | None:
    """What a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream declares; None when it is none, or is cut in its header."""
    view = memoryview(data)
    try:
        if bytes(view[:2]) == b"\xff\xd8":
            header = _jpeg(view)
        else:
            header = _jpeg_2000(view) if bytes(view[:4]) == b"\xff\x4f\xff\x51" else None
    except (struct.error, IndexError):
        return None
    is_image = header is not None and header.samples and 0 < header.bits_stored <= _MAX_BITS
    return header if is_image else None


def bare_codestream(data: Buffer) -> Buffer:
    """The codestream inside of a JP2 or JPH file; anything else as it is (PS3.5 A.4.4: no file format)."""
    view = memoryview(data)
    if bytes(view[: len(_JP2_SIGNATURE)]) != _JP2_SIGNATURE:
        return data
    for kind, content in islice(boxes(view), _MAX_SEGMENTS):
        if kind == b"jp2c":
            return content
    return data


def boxes(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """(type, content) of each box of an ISO base media or JP2 file; ends where they stop making sense."""
    position, end = 0, len(view)
    while position + 8 <= end:
        length, kind = struct.unpack_from(">I4s", view, position)
        head = 8
        if length == 1 and position + 16 <= end:
            (length,) = struct.unpack_from(">Q", view, position + 8)
            head = 16
        stop = end if length == 0 else position + length
        if stop > end or stop < position + head:
            return
        yield kind, view[position + head : stop]
        position = stop


# --- JPEG and JPEG-LS -----------------------------------------------------------------------------


def _jpeg(view: memoryview) -> StreamHeader | None:
    frame: tuple[int, memoryview] | None = None
    transform = -1
    for marker, segment in _segments(view):
        if marker in _SOF and frame is None:
            frame = marker, segment
        elif marker == _APP14 and bytes(segment[:5]) == b"Adobe" and len(segment) > 11:
            transform = segment[11]
        elif marker == _SOS:
            return None if frame is None else _jpeg_header(*frame, segment, transform)
    return None


def _segments(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(marker, parameters) of each marker segment up to the first scan."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        while view[position] == 0xFF and view[position + 1] == 0xFF:  # fill bytes
            position += 1
        marker = view[position + 1]
        if view[position] != 0xFF or marker == _EOI:
            return
        if marker in _STANDALONE:
            position += 2
            continue
        (length,) = struct.unpack_from(">H", view, position + 2)
        yield marker, view[position + 4 : position + 2 + length]
        if marker == _SOS:
            return
        position += 2 + length


def _jpeg_header(marker: int, frame: memoryview, scan: memoryview, transform: int) -> StreamHeader:
    precision, rows, columns, samples = struct.unpack_from(">BHHB", frame)
    ids = bytes(frame[6 : 6 + 3 * samples : 3])
    factors = bytes(frame[7 : 7 + 3 * samples : 3])
    selection = scan[1 + 2 * scan[0]]  # the predictor, or how much JPEG-LS may be off
    photometric = "MONOCHROME2"
    if samples >= 3:
        is_rgb = ids.upper() == b"RGB" or transform == 0 or marker in {0xC3, 0xF7}
        is_full = len(set(factors)) == 1
        photometric = "RGB" if is_rgb else "YBR_FULL" if is_full else "YBR_FULL_422"
    syntaxes = tuple(_UID + end for end in _JPEG_SYNTAXES.get(marker, _none)(selection, precision))
    return StreamHeader(syntaxes, rows, columns, samples, precision, photometric=photometric)


def _none(_selection: int, _precision: int) -> tuple[str, ...]:
    return ()


def _baseline(_selection: int, precision: int) -> tuple[str, ...]:
    return ("50", "51") if precision == 8 else ()


def _extended(_selection: int, _precision: int) -> tuple[str, ...]:
    return ("51",)


def _lossless(selection: int, _precision: int) -> tuple[str, ...]:
    return ("70", "57") if selection == 1 else ("57",)


def _jpeg_ls(near: int, _precision: int) -> tuple[str, ...]:
    return ("80", "81") if near == 0 else ("81",)


_JPEG_SYNTAXES: dict[int, Callable[[int, int], tuple[str, ...]]] = {
    0xC0: _baseline,
    0xC1: _extended,
    0xC3: _lossless,
    0xF7: _jpeg_ls,
}


# --- JPEG 2000 ------------------------------------------------------------------------------------


def _jpeg_2000(view: memoryview) -> StreamHeader | None:
    """SIZ is the second marker segment; COD may stand anywhere in the main header (ISO 15444-1 A.3)."""
    segments: dict[int, memoryview] = {}
    position = 2
    for _ in range(_MAX_SEGMENTS):
        marker, length = struct.unpack_from(">HH", view, position)
        if marker == _SOT or marker < 0xFF00:
            break
        segments.setdefault(marker, view[position + 4 : position + 2 + length])
        position += 2 + length
    size, style = segments.get(_SIZ), segments.get(_COD)
    if size is None or style is None:
        return None
    capabilities, x_size, y_size, x_offset, y_offset = struct.unpack_from(">HIIII", size)
    (samples,) = struct.unpack_from(">H", size, 34)
    depth = size[36]
    is_reversible, is_mixed = style[9] == _REVERSIBLE, bool(style[4])
    photometric = "MONOCHROME2"
    if samples >= 3:
        mixed = "YBR_RCT" if is_reversible else "YBR_ICT"
        photometric = mixed if is_mixed else "RGB"
    is_ht = bool(capabilities & _HAS_PARTS) and _uses_ht(segments.get(_CAP))
    return StreamHeader(
        tuple(_UID + end for end in _J2K_SYNTAXES[is_ht, is_reversible]),
        y_size - y_offset,
        x_size - x_offset,
        samples,
        (depth & 0x7F) + 1,
        is_signed=bool(depth & 0x80),
        photometric=photometric,
    )


def _uses_ht(capabilities: memoryview | None) -> bool:
    if capabilities is None or len(capabilities) < 4:
        return False
    return bool(struct.unpack_from(">I", capabilities)[0] & _HAS_HT)


_J2K_SYNTAXES = {
    (False, True): ("90", "91", "92", "93"),
    (False, False): ("91", "93"),
    (True, True): ("201", "202", "203"),
    (True, False): ("203",),
}
