"""Small codestreams that declare, or ask for, more than a decoder may take: refused or ended, and work goes on."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from tests.dicomweb.streams import jpeg, jpeg_2000, jpeg_ls
from tests.unit.dicom.lossless_jpeg import lossless_jpeg
from tests.unit.dicom.test_jpeg import noise
from vna.config_decoding import DecodingConfig
from vna.dicom.decode import PixelDescription, decode_frame
from vna.dicom.encode_pixels import encode_frame
from vna.errors import DecoderFailed, Unsupported, VnaError
from vna.services.decoders import Decoders

_JPEG = "1.2.840.10008.1.2.4."
RLE, DEFLATED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"
SIDE = 60_000
"""Rows and columns: 3.6 GB of pixels where a decoder may take 256 MiB."""

LARGE = PixelDescription(SIDE, SIDE, 1, 8, 8)
SMALL = PixelDescription(16, 16, 1, 8, 8)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    bounded = Decoders(DecodingConfig(processes=1, memory_bytes=256 * 2**20, seconds=5.0))
    yield bounded
    bounded.close()


@pytest.fixture(autouse=True)
def works_afterwards(decoders: Decoders) -> Iterator[None]:
    yield
    found = decoders.call(decode_frame, jpeg(16, 16), _JPEG + "50", SMALL)
    assert len(found.data) == 256


def resized(frame: bytes, marker: bytes, side: int = SIDE) -> bytes:
    """`frame` whose JPEG frame header `marker` declares so many rows and columns."""
    position = frame.index(marker) + 5
    return frame[:position] + struct.pack(">HH", side, side) + frame[position + 4 :]


def large_jpeg_2000(frame: bytes, tile: int) -> bytes:
    """`frame` whose SIZ declares a large image, in tiles of `tile` rows and columns."""
    return frame[:8] + struct.pack(">8I", SIDE, SIDE, 0, 0, tile, tile, 0, 0) + frame[40:]


def htj2k() -> bytes:
    return encode_frame(bytes(256), _JPEG + "201", SMALL)


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "baseline": ("50", lambda: resized(jpeg(16, 16), b"\xff\xc0")),
    "progressive": ("55", lambda: resized(jpeg(16, 16, is_progressive=True), b"\xff\xc2")),
    "lossless": ("57", lambda: resized(lossless_jpeg(noise(16, 16), 8, 1), b"\xff\xc3")),
    "JPEG-LS": ("80", lambda: resized(jpeg_ls(), b"\xff\xf7")),
    "JPEG 2000, one tile": ("90", lambda: large_jpeg_2000(jpeg_2000(16, 16), SIDE)),
    "JPEG 2000, many tiles": ("90", lambda: large_jpeg_2000(jpeg_2000(16, 16), 16)),
    "JPEG 2000, tiles of a pixel": ("90", lambda: large_jpeg_2000(jpeg_2000(16, 16), 1)),
    "HTJ2K": ("201", lambda: large_jpeg_2000(htj2k(), SIDE)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_size_that_is_declared_twice_is_too_much_or_refused(
    decoders: Decoders, name: str
) -> None:
    """Header and codestream agree: what is left is the bound of memory."""
    syntax, make = BOMBS[name]
    with pytest.raises((DecoderFailed, Unsupported)) as failed:
        decoders.call(decode_frame, make(), _JPEG + syntax, LARGE)
    assert not isinstance(failed.value, DecoderFailed) or failed.value.reason == "memory"


@pytest.mark.parametrize("name", BOMBS)
def test_a_size_that_only_the_codestream_declares_is_refused_at_once(name: str) -> None:
    syntax, make = BOMBS[name]
    with pytest.raises(Unsupported, match="the codestream has 60000 rows"):
        decode_frame(make(), _JPEG + syntax, SMALL)


def test_runs_and_deflated_frames_give_no_more_than_is_declared() -> None:
    with pytest.raises(Unsupported, match="can't hold"):
        decode_frame(encode_frame(bytes(256), RLE, SMALL), RLE, LARGE)
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packed.compress(bytes(2**24)) + packed.flush()
    assert decode_frame(bomb, DEFLATED, SMALL).data == bytes(256)


def test_thousands_of_scans_end_with_the_time_of_a_call(decoders: Decoders) -> None:
    """Each goes over the whole image, and takes 14 bytes."""
    picture = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(picture, "JPEG", progressive=True)
    frame = resized(picture.getvalue(), b"\xff\xc2", 6000)
    scan = frame[frame.rindex(b"\xff\xda") : -2]
    bomb = frame[:-2] + scan * 20_000 + frame[-2:]
    description = PixelDescription(6000, 6000, 1, 8, 8)
    with pytest.raises(VnaError) as failed:
        decoders.call(decode_frame, bomb, _JPEG + "55", description)
    assert isinstance(failed.value, DecoderFailed)
    assert failed.value.reason == "time"
