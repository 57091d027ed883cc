"""JPEG and JPEG-LS frames: every process, precision and colour."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagecodecs import jpeg8_encode
from jpeg_ls import encode_buffer

from tests.dicomweb.streams import jpeg
from tests.unit.dicom.lossless_jpeg import lossless_jpeg
from vna.dicom.decode import PixelDescription, decode_frame
from vna.errors import Unsupported

BASELINE, EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
LOSSLESS, LOSSLESS_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
ARITHMETIC, SPECTRAL_ARITHMETIC = "1.2.840.10008.1.2.4.52", "1.2.840.10008.1.2.4.54"

Samples = np.ndarray[Any, np.dtype[Any]]


def noise(rows: int, columns: int, count: int = 1, *, bits: int = 8, seed: int = 1) -> Samples:
    """Samples by row, column and component, in words of 16 bits."""
    return np.random.default_rng(seed).integers(0, 1 << bits, (rows, columns, count), np.uint16)


def describe(samples: Samples, allocated: int, stored: int, **other: Any) -> PixelDescription:
    rows, columns, count = samples.shape
    if count == 3:
        other.setdefault("photometric_interpretation", "RGB")
    return PixelDescription(rows, columns, count, allocated, stored, **other)


# --- lossless ---


@st.composite
def images(draw: st.DrawFn) -> tuple[Samples, int]:
    """Any samples, and their precision."""
    precision = draw(st.integers(2, 16))
    count = draw(st.sampled_from([1, 3]))
    shape = draw(st.integers(1, 9)), draw(st.integers(1, 9)), count
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = (1 << precision) - 1
    if draw(st.booleans()):
        return random.choice(np.array([0, 1, top // 2, top], np.uint16), shape), precision
    return random.integers(0, top + 1, shape, np.uint16), precision


@settings(max_examples=200, deadline=None)
@given(
    image=images(),
    predictor=st.integers(1, 7),
    rows_per_restart=st.integers(0, 3),
    is_by_plane=st.booleans(),
)
def test_lossless_jpeg_gives_every_bit(
    image: tuple[Samples, int], predictor: int, rows_per_restart: int, is_by_plane: bool
) -> None:
    samples, precision = image
    frame = lossless_jpeg(
        samples, precision, predictor, rows_per_restart=rows_per_restart, is_by_plane=is_by_plane
    )
    description = describe(samples, 16, precision)
    decoded = decode_frame(frame, LOSSLESS, description)
    assert decoded.data == samples.astype("<u2").tobytes()
    assert decoded.photometric_interpretation == description.photometric_interpretation


@pytest.mark.parametrize(
    ("allocated", "stored", "precision"), [(16, 16, 16), (16, 12, 12), (16, 12, 16), (16, 8, 8)]
)
def test_signed_samples_keep_their_sign(allocated: int, stored: int, precision: int) -> None:
    half = 1 << stored - 1
    values = np.array([[[-half], [-1], [0], [half - 1]]], "<i2")
    frame = lossless_jpeg(values.view("<u2") & ((1 << precision) - 1), precision, 1)
    description = describe(values, allocated, stored, pixel_representation=1)
    assert decode_frame(frame, LOSSLESS_SV1, description).data == values.tobytes()


def test_unused_bits_of_unsigned_samples_stay() -> None:
    """An overlay may lie there."""
    samples = noise(5, 7, bits=16)
    frame = lossless_jpeg(samples, 16, 1)
    found = decode_frame(frame, LOSSLESS_SV1, describe(samples, 16, 12))
    assert found.data == samples.astype("<u2").tobytes()


def test_samples_get_the_words_that_the_header_allocates() -> None:
    samples = noise(5, 7, bits=8)
    frame = lossless_jpeg(samples, 8, 1)
    for allocated in (8, 16, 32):
        found = decode_frame(frame, LOSSLESS_SV1, describe(samples, allocated, 8))
        assert found.data == samples.astype(f"<u{allocated // 8}").tobytes()


def test_samples_that_the_header_has_no_room_for_are_refused() -> None:
    samples = noise(5, 7, bits=12)
    frame = lossless_jpeg(samples, 12, 1)
    with pytest.raises(Unsupported, match="samples of 12 bits, the header allocates 8"):
        decode_frame(frame, LOSSLESS_SV1, describe(samples, 8, 8))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_RCT"])
def test_lossless_colours_stay_what_they_are(photometric: str) -> None:
    samples = noise(4, 6, 3)
    description = describe(samples, 8, 8, photometric_interpretation=photometric)
    found = decode_frame(lossless_jpeg(samples, 8, 4), LOSSLESS, description)
    assert found.data == samples.astype("u1").tobytes()


def test_components_named_rgb_are_rgb() -> None:
    samples = noise(4, 6, 3)
    frame = lossless_jpeg(samples, 8, 1, ids=b"RGB")
    description = describe(samples, 8, 8, photometric_interpretation="YBR_FULL")
    assert decode_frame(frame, LOSSLESS_SV1, description).photometric_interpretation == "RGB"


# --- lossy ---


def colour(frame: bytes, photometric: str) -> bytes:
    description = PixelDescription(16, 24, 3, 8, 8, photometric_interpretation=photometric)
    found = decode_frame(frame, BASELINE, description)
    assert found.photometric_interpretation == "RGB"
    return found.data


def with_adobe(frame: bytes, transform: int) -> bytes:
    """`frame` with an Adobe segment in place of the JFIF one."""
    (length,) = struct.unpack_from(">H", frame, 4)
    segment = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    return frame[:2] + segment + frame[4 + length :]


def test_what_the_codestream_says_of_its_colours_goes_before_the_header() -> None:
    frame = jpeg(16, 24, is_colour=True)
    bare = frame[:2] + frame[4 + struct.unpack_from(">H", frame, 4)[0] :]
    shown = colour(bare, "YBR_FULL_422")
    untransformed = colour(bare, "RGB")
    assert shown != untransformed
    assert colour(frame, "RGB") == shown, "JFIF is YCbCr"
    assert colour(with_adobe(frame, 1), "RGB") == shown
    assert colour(with_adobe(frame, 0), "YBR_FULL_422") == untransformed


# A ramp of 16 x 16 pixels: behind its quantization table, with Huffman codes and, the same coefficients,
# with arithmetic ones.
TABLE = (
    "ffd8ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837"
    "292c30313434341f27393d38323c2e333432"
)
HUFFMAN = (
    "ffc0000b080010001001011100ffc400160001010100000000000000000000000000060507ffc40017100100030000000000000000"
    "000000000004002131ffda0008010100003f00c6c06ca8a006ca93c06ca8a006ca9fffd9"
)
SEQUENTIAL = "ffc9000b080010001001011100ffcc000600101005ffda0008010100003f00ff00cf86861ac63c6d85042e3812da5e6bc0ffd9"
PROGRESSIVE = (
    "ffca000b080010001001011100ffcc00040010ffda0008010100000001ff009f02e1d5b8ffcc00041005ffda0008010100010502181d"
    "7dcb50ffcc00041005ffda0008010100063f02c0ffcc00041005ffda0008010100013f21c0ffda000801010000001060ffcc00041005"
    "ffda0008010100013f10d5222fd580ffd9"
)


@pytest.mark.parametrize(
    ("syntax", "coded"), [(ARITHMETIC, SEQUENTIAL), (SPECTRAL_ARITHMETIC, PROGRESSIVE)]
)
def test_arithmetic_coding(syntax: str, coded: str) -> None:
    description = PixelDescription(16, 16, 1, 8, 8)
    expected = decode_frame(bytes.fromhex(TABLE + HUFFMAN), BASELINE, description).data
    ramp = np.add.outer(np.arange(16) * 3, np.arange(16) * 5).astype(np.uint8)
    assert np.abs(np.frombuffer(expected, np.uint8).astype(int) - ramp.ravel()).max() < 8
    assert decode_frame(bytes.fromhex(TABLE + coded), syntax, description).data == expected


def extended(samples: Samples) -> bytes:
    """12 bits, sequential."""
    return bytes(jpeg8_encode(samples[:, :, 0], 100, bitspersample=12, colorspace="GRAYSCALE"))


def test_twelve_bits() -> None:
    samples = noise(24, 32, bits=12)
    found = decode_frame(extended(samples), EXTENDED, describe(samples, 16, 12)).data
    assert np.abs(np.frombuffer(found, "<u2").astype(int) - samples.ravel()).max() < 8


def test_a_scan_header_that_names_no_coefficients_is_taken_for_all() -> None:
    samples = noise(24, 32, bits=12)
    description = describe(samples, 16, 12)
    frame = extended(samples)
    odd = frame.replace(b"\xff\xda\0\x08\1\1\0\0\x3f", b"\xff\xda\0\x08\1\1\0\0\0")
    assert odd != frame
    expected = decode_frame(frame, EXTENDED, description)
    assert decode_frame(odd, EXTENDED, description) == expected


# --- JPEG-LS ---


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_jpeg_ls_colours_come_by_pixel_in_each_interleave_mode(mode: int) -> None:
    samples = np.arange(16 * 17 * 3, dtype=np.uint16).astype(np.uint8).reshape(16, 17, 3)
    source = samples.transpose(2, 0, 1) if mode == 0 else samples
    frame = bytes(encode_buffer(source.tobytes(), 16, 17, 3, 8, 0, interleave_mode=mode))
    assert decode_frame(frame, JPEG_LS, describe(samples, 8, 8)).data == samples.tobytes()


@pytest.mark.parametrize("precision", [2, 7, 8, 9, 12, 16])
@pytest.mark.parametrize("allocated", [8, 16])
def test_jpeg_ls_of_each_precision(precision: int, allocated: int) -> None:
    samples = noise(16, 17, bits=precision)
    words = samples.astype("u1" if precision <= 8 else "<u2")
    frame = bytes(encode_buffer(words.tobytes(), 16, 17, 1, precision, 0))
    description = describe(samples, allocated, precision)
    if precision > allocated:
        with pytest.raises(Unsupported, match=f"samples of {precision} bits"):
            decode_frame(frame, JPEG_LS, description)
        return
    expected = samples.astype(f"<u{allocated // 8}")
    assert decode_frame(frame, JPEG_LS, description).data == expected.tobytes()
    signed = (
        expected.view(f"<i{allocated // 8}") << allocated - precision
    ) >> allocated - precision
    found = decode_frame(frame, JPEG_LS, replace(description, pixel_representation=1))
    assert found.data == signed.tobytes()


def test_jpeg_ls_under_the_label_of_another_jpeg() -> None:
    samples = noise(16, 16).astype(np.uint8)
    frame = bytes(encode_buffer(samples.tobytes(), 16, 16, 1, 8, 0))
    for syntax in (BASELINE, LOSSLESS_SV1, JPEG_LS_NEAR):
        found = decode_frame(frame, syntax, describe(samples, 8, 8))
        assert found.data == samples.tobytes()


def test_jpeg_ls_with_a_tolerance() -> None:
    samples = noise(16, 16).astype(np.uint8)
    frame = bytes(encode_buffer(samples.tobytes(), 16, 16, 1, 8, 3))
    found = decode_frame(frame, JPEG_LS_NEAR, describe(samples, 8, 8)).data
    off = np.frombuffer(found, np.uint8).astype(int) - samples.ravel()
    assert 0 < np.abs(off).max() <= 3
