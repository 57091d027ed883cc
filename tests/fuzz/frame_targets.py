"""What must hold when a compressed frame is decoded, which native code does."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pydicom

from tests import samples
from tests.fuzz.seeds import MAX_SEED
from vna.dicom.codestream import split_items
from vna.dicom.decode import PixelDescription, decode_frame
from vna.dicom.header import read_header
from vna.dicom.syntaxes import DECODABLE
from vna.errors import InvalidInstance, Unsupported

_HEAD = struct.Struct("<BHHBBBBB")
_SYNTAXES = tuple(sorted(DECODABLE))
_COLOURS = ("MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")
_MAX_BITS = 2**24
_ROOM = 16
"""So many times its samples a frame may need while it is decoded."""


def decoded(data: bytes) -> None:
    """A frame is decoded to as many samples as are described, or it is said that it can't be."""
    uid, description = _described(data)
    if 0 < description.frame_bits <= _MAX_BITS:
        with suppress(Unsupported):
            found = decode_frame(data[_HEAD.size :], uid, description)
            assert len(found.data) == description.frame_bytes


def expansion(data: bytes) -> int:
    """What the samples may need."""
    bits = _described(data)[1].frame_bits
    return bits // 8 * _ROOM if bits <= _MAX_BITS else 0


@lru_cache(maxsize=1)
def frame_seeds() -> list[bytes]:
    """A description, then a frame of a real file, or its beginning."""
    return [seed for path in samples.pydicom_files() for seed in _of_file(path)]


def _described(data: bytes) -> tuple[str, PixelDescription]:
    syntax, rows, columns, *rest, colour = _HEAD.unpack_from(data.ljust(_HEAD.size, b"\0"))
    count, allocated, stored, flags = rest
    return _SYNTAXES[syntax % len(_SYNTAXES)], PixelDescription(
        rows=rows,
        columns=columns,
        samples_per_pixel=count,
        bits_allocated=allocated,
        bits_stored=stored,
        pixel_representation=flags & 1,
        planar_configuration=flags >> 1 & 1,
        photometric_interpretation=_COLOURS[colour % len(_COLOURS)],
    )


def _of_file(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    with suppress(InvalidInstance):
        header = read_header(data)
        if header.transfer_syntax_uid not in DECODABLE or header.frames is None:
            return
        offset, length = header.frames.span(1)
        frame = b"".join(split_items(data[offset : offset + length]))
        yield _written(header.transfer_syntax_uid, path) + frame[:MAX_SEED]


def _written(uid: str, path: Path) -> bytes:
    found = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    colour = str(found.get("PhotometricInterpretation", ""))
    return _HEAD.pack(
        _SYNTAXES.index(uid),
        found.Rows,
        found.Columns,
        found.get("SamplesPerPixel", 1),
        found.BitsAllocated,
        found.get("BitsStored", 0),
        found.get("PixelRepresentation", 0) | int(found.get("PlanarConfiguration", 0) or 0) << 1,
        _COLOURS.index(colour) if colour in _COLOURS else 0,
    )
