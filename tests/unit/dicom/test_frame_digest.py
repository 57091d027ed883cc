"""The digest of a frame's pixels is the same in every lossless form of it."""

from __future__ import annotations

import struct

import pytest

from tests import samples
from vna.dicom.decode import PixelDescription
from vna.dicom.encode_pixels import encode_frame
from vna.dicom.frame_digest import frame_digest
from vna.errors import Unsupported

GREY = PixelDescription(4, 4, bits_allocated=16, bits_stored=16)
WORDS = list(range(0, 16000, 1000))
NATIVE = struct.pack("<16H", *WORDS)


@pytest.mark.parametrize("syntax", [samples.RLE, samples.JPEG_LS, samples.JPEG_2000])
def test_compressed_without_loss(syntax: str) -> None:
    compressed = encode_frame(NATIVE, syntax, GREY)
    assert frame_digest(compressed, syntax, GREY) == frame_digest(NATIVE, samples.EXPLICIT, GREY)


def test_big_endian() -> None:
    swapped = struct.pack(">16H", *WORDS)
    digest = frame_digest(swapped, samples.BIG_ENDIAN, GREY, 2)
    assert digest == frame_digest(NATIVE, samples.IMPLICIT, GREY)


def test_colours_by_plane_and_by_pixel() -> None:
    by_pixel = PixelDescription(1, 2, 3, 8, photometric_interpretation="RGB")
    by_plane = PixelDescription(
        1, 2, 3, 8, planar_configuration=1, photometric_interpretation="RGB"
    )
    one = frame_digest(b"RGBrgb", samples.EXPLICIT, by_pixel)
    assert one == frame_digest(b"RrGgBb", samples.EXPLICIT, by_plane)
    assert one != frame_digest(b"RrGgBb", samples.EXPLICIT, by_pixel)


def test_what_can_t_be_decoded() -> None:
    with pytest.raises(Unsupported):
        frame_digest(b"no JPEG", samples.JPEG_LOSSLESS, GREY)
