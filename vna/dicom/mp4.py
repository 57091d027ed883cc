"""What an MP4 file says of its video track (ISO 14496-12, PS3.5 8.2.7)."""

from __future__ import annotations

import struct
from itertools import islice

from vna.dicom.stream_headers import StreamHeader, boxes

_UID = "1.2.840.10008.1.2.4."
_CONTAINERS = frozenset({b"moov", b"mdia", b"minf", b"stbl"})
_SAMPLE_ENTRY = 78
_HIGH_LEVEL = 42
_AVC, _HEVC = frozenset({b"avc1", b"avc3"}), frozenset({b"hvc1", b"hev1"})
_MAIN_10 = 2
_MAX_BOXES, _MAX_OPEN = 4096, 16


def is_mp4(view: memoryview) -> bool:
    """Whether it begins as ISO base media files do."""
    return bytes(view[4:8]) == b"ftyp"


def read_mp4(view: memoryview) -> StreamHeader | None:
    """The header of the first video track in H.264 or H.265; None where there is none."""
    for kind, content in islice(boxes(view), _MAX_BOXES):
        if kind == b"moov":
            for name, track in islice(boxes(content), _MAX_BOXES):
                header = _track(track) if name == b"trak" else None
                if header is not None:
                    return header
    return None


def _track(track: memoryview) -> StreamHeader | None:
    found = dict(reversed(_leaves(track)))
    try:
        return _video(found) if {b"stsd", b"stsz", b"mdhd"} <= set(found) else None
    except (struct.error, IndexError, ZeroDivisionError):
        return None


def _leaves(view: memoryview) -> list[tuple[bytes, memoryview]]:
    """The boxes that hold no others, of the containers that lead to them."""
    found: list[tuple[bytes, memoryview]] = []
    waiting = [view]
    while waiting and len(found) < _MAX_BOXES:
        for kind, content in islice(boxes(waiting.pop()), _MAX_BOXES):
            (waiting if kind in _CONTAINERS and len(waiting) < _MAX_OPEN else []).append(content)
            found.append((kind, content))
    return found


def _video(found: dict[bytes, memoryview]) -> StreamHeader | None:
    entry = next(boxes(found[b"stsd"][8:]), None)
    if entry is None or entry[0] not in _AVC | _HEVC:
        return None
    codec, description = entry
    columns, rows = struct.unpack_from(">HH", description, 24)
    settings = dict(boxes(description[_SAMPLE_ENTRY:]))
    syntaxes, bits = _h264(settings) if codec in _AVC else _h265(settings)
    (frames,) = struct.unpack_from(">I", found[b"stsz"], 8)
    return StreamHeader(
        tuple(_UID + end for end in syntaxes),
        rows,
        columns,
        3,
        bits,
        photometric="YBR_PARTIAL_420",
        number_of_frames=frames,
        frame_time=_milliseconds(found[b"mdhd"]) / frames,
    )


def _milliseconds(media_header: memoryview) -> float:
    if media_header[0] == 1:
        scale, duration = struct.unpack_from(">IQ", media_header, 20)
    else:
        scale, duration = struct.unpack_from(">II", media_header, 12)
    return float(duration) * 1000 / float(scale)


def _h264(settings: dict[bytes, memoryview]) -> tuple[tuple[str, ...], int]:
    level = settings[b"avcC"][3] if b"avcC" in settings else 0
    if level > _HIGH_LEVEL:
        return (), 8
    return (
        ("104", "105", "106") if level == _HIGH_LEVEL else ("102", "103", "104", "105", "106")
    ), 8


def _h265(settings: dict[bytes, memoryview]) -> tuple[tuple[str, ...], int]:
    profile = settings[b"hvcC"][1] & 0x1F if b"hvcC" in settings else 1
    return (("108",), 10) if profile == _MAIN_10 else (("107", "108"), 8)
