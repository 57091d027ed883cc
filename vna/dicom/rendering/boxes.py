"""Boxes of ISO base media files: finding them, and the samples of the only track of an AVIF sequence."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = 8
_SAMPLE_ENTRY = 78
_TEMPORAL_DELIMITER = b"\x12\x00"


@dataclass(frozen=True, slots=True)
class Track:
    """Samples of AV1 video, one a frame; the boxes that say how to decode them; which are whole images."""

    samples: list[bytes]
    configuration: bytes
    colour: bytes
    sync: frozenset[int]


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box that holds `parts`."""
    body = b"".join(parts)
    return struct.pack(">I4s", _HEADER + len(body), kind) + body


def full_box(kind: bytes, flags: int, *parts: bytes) -> bytes:
    """A box of version 0."""
    return box(kind, struct.pack(">I", flags), *parts)


def children(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box in `data`."""
    position = 0
    while position + _HEADER <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if size < _HEADER:
            return
        yield kind, data[position + _HEADER : position + size]
        position += size


def find(data: bytes, *path: bytes) -> bytes:
    """The content of the first box at `path`; b"" when there is none."""
    for kind in path:
        data = next((content for found, content in children(data) if found == kind), b"")
    return data


def read_track(avif: bytes) -> Track:
    """The first track of an AVIF image sequence (ISO 14496-12 8.7; AV1 in ISOBMFF 2.4)."""
    table = find(avif, b"moov", b"trak", b"mdia", b"minf", b"stbl")
    entry = find(table, b"stsd")[8 + _HEADER + _SAMPLE_ENTRY :]
    samples = [_without_delimiter(sample) for sample in _samples(avif, table)]
    sync = find(table, b"stss")
    numbers = _numbers(sync, 8) if sync else range(1, len(samples) + 1)
    boxes = dict(children(entry))
    colour = box(b"colr", boxes[b"colr"]) if b"colr" in boxes else b""
    return Track(samples, box(b"av1C", boxes[b"av1C"]), colour, frozenset(numbers))


def _samples(data: bytes, table: bytes) -> Iterator[bytes]:
    """By the sizes of the samples, the samples of each chunk, and where the chunks begin."""
    sizes_box = find(table, b"stsz")
    size, count = struct.unpack_from(">II", sizes_box, 4)
    sizes = iter([size] * count if size else _numbers(sizes_box, 12))
    runs = _numbers(find(table, b"stsc"), 8)
    by_chunk = list(zip(runs[::3], runs[1::3], strict=True))
    for number, start in enumerate(_numbers(find(table, b"stco"), 8), 1):
        position = start
        in_chunk = next(samples for first, samples in reversed(by_chunk) if first <= number)
        for _ in range(in_chunk):
            length = next(sizes)
            yield data[position : position + length]
            position += length


def _numbers(content: bytes, start: int) -> list[int]:
    """All 32-bit numbers behind `start`."""
    return [number for (number,) in struct.iter_unpack(">I", content[start:])]


def _without_delimiter(sample: bytes) -> bytes:
    """Samples of a file begin without a temporal delimiter (AV1 in ISOBMFF 2.4)."""
    return sample[2:] if sample.startswith(_TEMPORAL_DELIMITER) else sample
