"""Small compressed images, and an MP4 file without pictures, as clients would send them."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames


def _picture(rows: int, columns: int, *, is_colour: bool, seed: int = 1) -> Image.Image:
    """Noise, the same for the same seed."""
    shape = (rows, columns, 3) if is_colour else (rows, columns)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def jpeg(
    rows: int, columns: int, *, is_colour: bool = False, is_progressive: bool = False
) -> bytes:
    """A JPEG file as cameras make them; in colour, at half the resolution of brightness."""
    picture = _picture(rows, columns, is_colour=is_colour)
    return _saved(picture, "JPEG", progressive=is_progressive, subsampling=2 if is_colour else -1)


def jpeg_2000(
    rows: int,
    columns: int,
    *,
    is_colour: bool = False,
    is_lossy: bool = False,
    is_boxed: bool = False,
    seed: int = 1,
) -> bytes:
    """A JPEG 2000 codestream, or a JP2 file with it."""
    picture = _picture(rows, columns, is_colour=is_colour, seed=seed)
    return _saved(
        picture, "JPEG2000", no_jp2=not is_boxed, irreversible=is_lossy, mct=int(is_colour)
    )


def jpeg_ls() -> bytes:
    """A lossless JPEG-LS codestream of 64 rows and columns, one of pydicom's."""
    path = get_testdata_file("emri_small_jpeg_ls_lossless.dcm")
    dataset = dcmread(str(path))
    return next(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))


def mp4(columns: int, rows: int, *, frames: int, seconds: int, level: int = 41) -> bytes:
    """The boxes of an MP4 file with one track in H.264 of that level; its frames are empty."""
    settings = _box(b"avcC", bytes([1, 100, 0, level]) + bytes(3))
    entry = bytes(24) + struct.pack(">HH", columns, rows) + bytes(50) + settings
    table = _box(
        b"stbl",
        _box(b"stsd", struct.pack(">II", 0, 1) + _box(b"avc1", entry)),
        _box(b"stsz", struct.pack(">III", 0, 1, frames)),
    )
    header = struct.pack(">IIIIII", 0, 0, 0, 90_000, seconds * 90_000, 0)
    media = _box(b"mdia", _box(b"mdhd", header), _box(b"minf", table))
    sound = _box(b"trak", _box(b"mdia", _box(b"mdhd", header)))
    movie = _box(b"moov", sound, _box(b"trak", media))
    return _box(b"ftyp", b"isomiso2") + _box(b"mdat", bytes(frames)) + movie


def _box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + kind + content
