"""MP4 files of AV1 video, by the encoder that Pillow has for AVIF."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

from PIL import Image

from vna.dicom.rendering.boxes import Track, box, full_box, read_track
from vna.errors import Unsupported

_GROUP, _GROUP_PIXELS = 48, 16 * 2**20
"""Frames that are compressed together, and their pixels: as many are in memory. A player can begin at each group."""

MAX_VIDEO_PIXELS = 4096 * 4096
"""What a frame may have: the encoder needs some 60 bytes for each pixel."""

_SPEED = 9
_THREADS = 1
_TIMESCALE = 1000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED = 0x55C4


def write_mp4(frames: Iterable[Image.Image], durations: Sequence[int], quality: int) -> bytes:
    """A film of `frames`, all of one size, each shown for so many milliseconds; `quality` is 1 to 100.

    Raises Unsupported for what the encoder does not take.
    """
    tracks: list[Track] = []
    size = (0, 0)
    for group in _groups(frames):
        size = group[0].size
        tracks.append(_compressed(group, quality))
    samples = [sample for track in tracks for sample in track.samples]
    header = _header(size, tracks, durations, 0)
    header = _header(size, tracks, durations, len(header) + 8)
    return header + struct.pack(">I4s", 8 + sum(map(len, samples)), b"mdat") + b"".join(samples)


def _groups(frames: Iterable[Image.Image]) -> Iterator[list[Image.Image]]:
    remaining = iter(frames)
    for first in remaining:
        others = min(_GROUP, _GROUP_PIXELS // (first.width * first.height)) - 1
        group = [first, *islice(remaining, max(0, others))]
        yield [frame.convert("RGB") for frame in group]


def _compressed(group: list[Image.Image], quality: int) -> Track:
    """A single image would be no sequence: it is given twice and taken once."""
    count = len(group)
    first, *others = group if count > 1 else [*group, *group]
    out = io.BytesIO()
    try:
        first.save(
            out,
            "AVIF",
            save_all=True,
            append_images=others,
            duration=_TIMESCALE // 10,
            quality=quality,
            subsampling="4:2:0",
            speed=_SPEED,
            max_threads=_THREADS,
        )
    except (RuntimeError, OSError) as exc:
        raise Unsupported(f"These frames can't be made a video: {exc}") from exc
    track = read_track(out.getvalue())
    sync = frozenset(number for number in track.sync if number <= count)
    return Track(track.samples[:count], track.configuration, track.colour, sync)


def _header(
    size: tuple[int, int], tracks: Sequence[Track], durations: Sequence[int], start: int
) -> bytes:
    """File type and movie; the samples begin `start` bytes behind the begin of the file."""
    total = sum(durations)
    movie = struct.pack(">IIIIIHHII", 0, 0, _TIMESCALE, total, 0x10000, 0x100, 0, 0, 0) + _MATRIX
    times = struct.pack(">IIIII", 0, 0, 1, 0, total)
    sides = struct.pack(">II", size[0] << 16, size[1] << 16)
    track = full_box(b"tkhd", 3, times, bytes(8), struct.pack(">HHHH", 0, 0, 0, 0), _MATRIX, sides)
    media = struct.pack(">IIIIHH", 0, 0, _TIMESCALE, total, _UNDETERMINED, 0)
    kind = full_box(b"hdlr", 0, bytes(4), b"vide", bytes(12), b"\0")
    source = box(b"dinf", full_box(b"dref", 0, struct.pack(">I", 1), full_box(b"url ", 1)))
    table = _sample_table(size, tracks, durations, start)
    information = box(b"minf", full_box(b"vmhd", 1, bytes(8)), source, table)
    media_box = box(b"mdia", full_box(b"mdhd", 0, media), kind, information)
    movie_box = full_box(b"mvhd", 0, movie, bytes(24), struct.pack(">I", 2))
    return box(b"ftyp", b"isom", bytes(4), b"isomiso2av01mp41") + box(
        b"moov", movie_box, box(b"trak", track, media_box)
    )


def _sample_table(
    size: tuple[int, int], tracks: Sequence[Track], durations: Sequence[int], start: int
) -> bytes:
    samples = [len(sample) for track in tracks for sample in track.samples]
    runs = [(len(list(run)), duration) for duration, run in groupby(durations)]
    firsts: list[int] = []
    behind = 0
    for track in tracks:
        firsts += [behind + number for number in sorted(track.sync)]
        behind += len(track.samples)
    entry = struct.pack(">6xH16xHHIIIH32xHh", 1, *size, 0x480000, 0x480000, 0, 1, 0x18, -1)
    video = box(b"av01", entry, tracks[0].configuration, tracks[0].colour)
    return box(
        b"stbl",
        full_box(b"stsd", 0, struct.pack(">I", 1), video),
        full_box(b"stts", 0, _counted([number for run in runs for number in run], 2)),
        full_box(b"stss", 0, _counted(firsts, 1)),
        full_box(b"stsc", 0, _counted([1, len(samples), 1], 3)),
        full_box(b"stsz", 0, bytes(4), _counted(samples, 1)),
        full_box(b"stco", 0, _counted([start], 1)),
    )


def _counted(numbers: Sequence[int], each: int) -> bytes:
    return struct.pack(f">{len(numbers) + 1}I", len(numbers) // each, *numbers)
