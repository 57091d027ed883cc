"""JPEG, JPEG-LS and JPEG 2000 frames that are cut off, or lie about their size."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from jpeg_ls import encode_buffer

from tests.dicomweb.streams import jpeg, jpeg_2000
from tests.unit.dicom.lossless_jpeg import lossless_jpeg
from tests.unit.dicom.test_jpeg import BASELINE, EXTENDED, JPEG_LS, LOSSLESS, extended, noise
from vna.dicom.codestream import read_codestream
from vna.dicom.decode import PixelDescription, decode_frame
from vna.dicom.syntaxes import DECODABLE
from vna.errors import Unsupported

JPEG_2000 = "1.2.840.10008.1.2.4.90"
END = b"\xff\xd9"

WHOLE = {
    BASELINE: (jpeg(32, 32), PixelDescription(32, 32, 1, 8, 8)),
    EXTENDED: (extended(noise(32, 32, bits=12)), PixelDescription(32, 32, 1, 16, 12)),
    LOSSLESS: (lossless_jpeg(noise(32, 32), 8, 6), PixelDescription(32, 32, 1, 8, 8)),
    JPEG_LS: (
        bytes(encode_buffer(noise(32, 32).astype(np.uint8).tobytes(), 32, 32, 1, 8, 0)),
        PixelDescription(32, 32, 1, 8, 8),
    ),
}
each = pytest.mark.parametrize("syntax", WHOLE)


@each
@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 7])
def test_what_follows_the_end_does_not_matter(syntax: str, padding: bytes) -> None:
    frame, description = WHOLE[syntax]
    expected = decode_frame(frame, syntax, description)
    assert decode_frame(frame + padding, syntax, description) == expected


@each
def test_a_codestream_without_end_marker_is_whole(syntax: str) -> None:
    frame, description = WHOLE[syntax]
    expected = decode_frame(frame, syntax, description)
    assert frame.endswith(END)
    assert decode_frame(frame[:-2], syntax, description) == expected


@each
@pytest.mark.parametrize("share", [0.3, 0.5, 0.97])
def test_a_codestream_that_is_cut_off_is_refused(syntax: str, share: float) -> None:
    frame, description = WHOLE[syntax]
    cut = frame[: int(len(frame) * share)]
    header = read_codestream(cut)
    assert header is not None
    with pytest.raises(Unsupported, match="can't be decoded"):
        decode_frame(cut, syntax, description)


# --- hostile ---


def test_a_header_that_only_decoders_would_see_is_none() -> None:
    """A stuffed zero is skipped by decoders, and what follows it read as markers."""
    frame = jpeg(32, 32)
    large = b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0"
    hidden = b"\xff\0" + struct.pack(">H", 2 + len(large)) + large
    assert read_codestream(frame[:2] + hidden + frame[2:]) is None
    with pytest.raises(Unsupported, match="no frame header"):
        decode_frame(frame[:2] + hidden + frame[2:], BASELINE, PixelDescription(32, 32, 1, 8, 8))


def test_a_second_frame_header_is_refused() -> None:
    frame = jpeg(32, 32)
    second = b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0"
    scan = frame.index(b"\xff\xda")
    with pytest.raises(Unsupported, match="can't be decoded"):
        decode_frame(
            frame[:scan] + second + frame[scan:], BASELINE, PixelDescription(32, 32, 1, 8, 8)
        )


def test_fill_bytes_without_end_are_passed_over_at_once() -> None:
    frame = jpeg(32, 32)
    description = PixelDescription(32, 32, 1, 8, 8)
    filled = frame[:2] + b"\xff" * 2**24 + frame[2:]
    header = read_codestream(filled)
    assert header is not None
    assert header.rows == 32
    assert decode_frame(filled, BASELINE, description) == decode_frame(frame, BASELINE, description)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def test_the_codestream_of_a_jp2_file_is_the_one_in_its_box() -> None:
    frame = jpeg_2000(32, 32)
    description = PixelDescription(32, 32, 1, 8, 8)
    expected = decode_frame(frame, JPEG_2000, description)
    signature = b"\0\0\0\x0cjP  \r\n\x87\n"
    decoy = box(b"uuid", jpeg_2000(16, 16))
    assert decode_frame(signature + decoy + box(b"jp2c", frame), JPEG_2000, description) == expected
    other = signature + box(b"uuid", frame) + box(b"jp2c", jpeg_2000(64, 64))
    with pytest.raises(Unsupported, match="64 rows"):
        decode_frame(other, JPEG_2000, description)
    for endless in (struct.pack(">I4s", 0, b"free"), box(b"free", b"") * 100_000):
        with pytest.raises(Unsupported, match="no frame header"):
            decode_frame(signature + endless + frame, JPEG_2000, description)


@pytest.mark.parametrize("syntax", sorted(DECODABLE))
def test_a_header_without_pixels_is_refused_before_anything_is_inflated(syntax: str) -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packed.compress(bytes(2**24)) + packed.flush()
    for description in (
        PixelDescription(0, 16),
        PixelDescription(16, 0),
        PixelDescription(4, 4, 0),
    ):
        with pytest.raises(Unsupported, match="without pixels"):
            decode_frame(bomb, syntax, description)
