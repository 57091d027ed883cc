"""Frames compressed without loss: every bit comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vna.dicom.decode import PixelDescription, decode_frame
from vna.dicom.encode_pixels import compressed_description, encode_frame
from vna.dicom.frame_conversion import convert_frame
from vna.dicom.syntaxes import (
    ENCODABLE,
    EXPLICIT_VR_LITTLE_ENDIAN,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
)
from vna.errors import Unsupported

NAMES = {
    JPEG_2000_LOSSLESS: "J2K",
    JPEG_LS_LOSSLESS: "JPEG-LS",
    HTJ2K_LOSSLESS: "HTJ2K",
    HTJ2K_LOSSLESS_RPCL: "HTJ2K-RPCL",
    RLE_LOSSLESS: "RLE",
}
every_target = pytest.mark.parametrize("target", ENCODABLE, ids=lambda uid: NAMES[uid])


def interleaved(data: bytes, description: PixelDescription) -> bytes:
    """Samples of a frame by pixel, however they lie."""
    if description.samples_per_pixel == 1 or not description.planar_configuration:
        return data
    size = description.bits_allocated // 8
    planes = np.frombuffer(data, f"V{size}").reshape(description.samples_per_pixel, -1)
    return planes.T.tobytes()


def there_and_back(data: bytes, target: str, description: PixelDescription) -> bytes:
    encoded = encode_frame(data, target, description)
    assert len(encoded) % 2 == 0
    described = compressed_description(description, target)
    decoded = decode_frame(encoded, target, described)
    assert decoded.photometric_interpretation == description.photometric_interpretation
    back = replace(described, planar_configuration=decoded.planar_configuration)
    return interleaved(decoded.data, back)


@st.composite
def frames(draw: st.DrawFn) -> tuple[bytes, PixelDescription]:
    """Any frame whose samples use their stored bits and no others."""
    allocated = draw(st.sampled_from([8, 16]))
    stored = draw(st.integers(2, allocated))
    samples = draw(st.sampled_from([1, 3]))
    is_signed = draw(st.booleans())
    rows, columns = draw(st.integers(2, 40)), draw(st.integers(2, 40))
    photometric = draw(st.sampled_from(["RGB", "YBR_FULL"])) if samples == 3 else "MONOCHROME2"
    description = PixelDescription(
        rows=rows,
        columns=columns,
        samples_per_pixel=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        pixel_representation=int(is_signed),
        planar_configuration=draw(st.integers(0, 1)) if samples == 3 else 0,
        photometric_interpretation=photometric,
    )
    low = -(1 << stored - 1) if is_signed else 0
    high = (1 << stored - 1) - 1 if is_signed else (1 << stored) - 1
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edge = draw(st.booleans())
    shape = rows * columns * samples
    values = random.choice([low, high], shape) if edge else random.integers(low, high + 1, shape)
    sign = "i" if is_signed else "u"
    return values.astype(f"<{sign}{allocated // 8}").tobytes(), description


@every_target
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frame=frames())
def test_every_bit_comes_back(target: str, frame: tuple[bytes, PixelDescription]) -> None:
    data, description = frame
    assert there_and_back(data, target, description) == interleaved(data, description)


@every_target
def test_unused_bits_come_back(target: str) -> None:
    """An overlay may lie there."""
    data = np.random.default_rng(1).integers(0, 2**16, 64 * 48).astype("<u2").tobytes()
    description = PixelDescription(64, 48, bits_allocated=16, bits_stored=12)
    assert there_and_back(data, target, description) == data


@pytest.mark.parametrize("target", [RLE_LOSSLESS, JPEG_2000_LOSSLESS], ids=NAMES.get)
@pytest.mark.parametrize("columns", [16, 13])
def test_pixels_of_one_bit(target: str, columns: int) -> None:
    bits = np.random.default_rng(2).integers(0, 2, 11 * columns).astype(np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    description = PixelDescription(11, columns, bits_allocated=1, bits_stored=1)
    assert there_and_back(data, target, description) == data


def test_wide_words_as_rle() -> None:
    data = np.random.default_rng(3).integers(0, 2**32, 9 * 7).astype("<u4").tobytes()
    description = PixelDescription(9, 7, bits_allocated=32, bits_stored=32)
    assert there_and_back(data, RLE_LOSSLESS, description) == data


@every_target
@pytest.mark.parametrize(
    "description",
    [
        PixelDescription(2, 2, samples_per_pixel=4, bits_allocated=8),
        PixelDescription(
            2, 2, samples_per_pixel=3, bits_allocated=8, photometric_interpretation="YBR_FULL_422"
        ),
    ],
)
def test_what_has_no_place_there_is_refused(target: str, description: PixelDescription) -> None:
    with pytest.raises(Unsupported, match="can't be compressed as"):
        encode_frame(bytes(100), target, description)


@every_target
def test_a_frame_that_is_too_short_is_refused(target: str) -> None:
    description = PixelDescription(4, 4, bits_allocated=16, bits_stored=16)
    with pytest.raises(Unsupported, match="31 of 32 bytes"):
        encode_frame(bytes(31), target, description)


def test_bits_that_a_codec_does_not_have_are_refused() -> None:
    wide = PixelDescription(4, 4, bits_allocated=32, bits_stored=32)
    with pytest.raises(Unsupported, match="32 bits"):
        encode_frame(b"\xff" * 64, JPEG_LS_LOSSLESS, wide)


@every_target
def test_from_one_compression_to_another(target: str) -> None:
    random = np.random.default_rng(4)
    data = random.integers(0, 4096, 30 * 20).astype("<u2").tobytes()
    description = PixelDescription(30, 20, bits_allocated=16, bits_stored=12)
    for source in ENCODABLE:
        stored = encode_frame(data, source, description)
        found = convert_frame(stored, source, target, description)
        native = convert_frame(found, target, EXPLICIT_VR_LITTLE_ENDIAN, description)
        assert native == data


def test_colours_that_change_within_an_image_are_noticed() -> None:
    description = PixelDescription(8, 8, 3, 8, 8, photometric_interpretation="RGB")
    stored = encode_frame(bytes(192), RLE_LOSSLESS, description)
    with pytest.raises(Unsupported, match="colour spaces"):
        convert_frame(stored, RLE_LOSSLESS, EXPLICIT_VR_LITTLE_ENDIAN, description, "YBR_FULL")
