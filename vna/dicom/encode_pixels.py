"""One frame of native samples compressed without loss (PS3.5 8.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from vna.dicom.decode import PixelDescription
from vna.dicom.syntaxes import (
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
    describe,
)
from vna.errors import Unsupported

Buffer = bytes | memoryview
Samples = np.ndarray[Any, np.dtype[Any]]

_TRANSFORMING = frozenset({JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL})
"""Syntaxes whose codestream turns RGB into YBR_RCT, and back (PS3.5 8.2.4, 8.2.16)."""

_SUBSAMPLED = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"})
_MOST_BITS = {
    JPEG_LS_LOSSLESS: 16,
    JPEG_2000_LOSSLESS: 24,
    HTJ2K_LOSSLESS: 16,
    HTJ2K_LOSSLESS_RPCL: 16,
}
_FEWEST_BITS = {JPEG_LS_LOSSLESS: 2}
_BITS_OF_A_BYTE = 8
_BY_PIXEL = 2
_HALVINGS = 5
_FAILURES = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def compressed_description(description: PixelDescription, target: str) -> PixelDescription:
    """What an image of `description` says of its pixels in the compressed syntax `target`.

    Raises Unsupported for pixels that it can't hold without loss.
    """
    photometric = description.photometric_interpretation
    if photometric in _SUBSAMPLED:
        raise _impossible(target, f"{photometric} without compression has no sample for each pixel")
    if description.samples_per_pixel not in {1, 3}:
        raise _impossible(target, f"it has {description.samples_per_pixel} samples a pixel")
    if target == RLE_LOSSLESS:
        return description
    if description.bits_allocated not in {1, 8, 16, 32}:
        raise _impossible(target, f"{description.bits_allocated} bits are allocated")
    if _is_transformed(description, target):
        photometric = "YBR_RCT"
    return replace(description, photometric_interpretation=photometric, planar_configuration=0)


def encode_frame(frame: Buffer, target: str, description: PixelDescription) -> bytes:
    """`frame`, native little endian samples as `description` says, as a codestream of `target`,
    of even length.

    Every bit comes back, also those that are not used by the samples. Raises Unsupported.
    """
    if len(frame) < description.frame_bytes:
        raise _impossible(target, f"a frame has {len(frame)} of {description.frame_bytes} bytes")
    compressed_description(description, target)
    frame = frame[: description.frame_bytes]
    try:
        if target == RLE_LOSSLESS:
            data = _rle(frame, description)
        else:
            data = _image(_samples(frame, description), target, description)
    except _FAILURES as exc:
        raise _impossible(target, " ".join(str(exc).split())[:300]) from exc
    return data + b"\0" if len(data) & 1 else data


def _rle(frame: Buffer, description: PixelDescription) -> bytes:
    from rle.utils import encode_pixel_data

    data = bytes(frame)
    size, samples = description.bits_allocated // 8, description.samples_per_pixel
    if samples > 1 and description.planar_configuration == 1:
        data = np.frombuffer(data, f"V{size}").reshape(samples, -1).T.tobytes()
    return bytes(
        encode_pixel_data(
            data,
            rows=description.rows,
            columns=description.columns,
            samples_per_pixel=samples,
            bits_allocated=description.bits_allocated,
            byteorder="<",
        )
    )


def _samples(frame: Buffer, description: PixelDescription) -> Samples:
    """By row, column and, of colours, sample."""
    rows, columns, count = description.rows, description.columns, description.samples_per_pixel
    if description.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")
        return bits[: rows * columns * count].reshape(rows, columns)
    sign = "i" if description.pixel_representation else "u"
    flat = np.frombuffer(frame, f"<{sign}{description.bits_allocated // 8}")
    if count == 1:
        return flat.reshape(rows, columns)
    if description.planar_configuration == 1:
        flat = flat.reshape(count, rows, columns).transpose(1, 2, 0)
    return np.ascontiguousarray(flat.reshape(rows, columns, count))


def _image(samples: Samples, target: str, description: PixelDescription) -> bytes:
    bits = _precision(samples, target, description)
    if target == JPEG_LS_LOSSLESS:
        return _jpeg_ls(samples, bits)
    if target == JPEG_2000_LOSSLESS:
        return _jpeg_2000(samples, bits, is_rgb=_is_transformed(description, target))
    return _htj2k(samples, is_rgb=_is_transformed(description, target))


def _precision(samples: Samples, target: str, description: PixelDescription) -> int:
    """Bits Stored where they hold every value, else all bits of the words."""
    allocated = description.bits_allocated
    stored = description.bits_stored or allocated
    low, high = int(samples.min()), int(samples.max())
    is_signed = bool(description.pixel_representation)
    bound = 1 << (stored - 1 if is_signed else stored)
    bits = stored if high < bound and low >= (-bound if is_signed else 0) else allocated
    if not _FEWEST_BITS.get(target, 1) <= bits <= _MOST_BITS[target]:
        raise ValueError(f"samples of {bits} bits")
    return bits


def _is_transformed(description: PixelDescription, target: str) -> bool:
    is_rgb = description.photometric_interpretation == "RGB" and description.samples_per_pixel == 3
    return is_rgb and target in _TRANSFORMING and not description.pixel_representation


def _jpeg_ls(samples: Samples, bits: int) -> bytes:
    from imagecodecs import jpegls_encode
    from jpeg_ls import encode_buffer

    rows, columns = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    words = samples.view(f"u{samples.itemsize}")
    source = (words & ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else words.dtype)
    mode = _BY_PIXEL if count > 1 else 0
    try:
        data = encode_buffer(source.tobytes(), rows, columns, count, bits, 0, interleave_mode=mode)
    except RuntimeError:  # it has no room for noise, which grows
        data = jpegls_encode(words)
    return bytes(data)


def _jpeg_2000(samples: Samples, bits: int, *, is_rgb: bool) -> bytes:
    from imagecodecs import jpeg2k_encode

    halvings = min(samples.shape[:2]).bit_length() - 1
    word = f"{samples.dtype.kind}1"
    return bytes(
        jpeg2k_encode(
            samples.astype(word) if bits <= _BITS_OF_A_BYTE else samples,
            level=0,
            codecformat="j2k",
            planar=False,
            bitspersample=bits,
            resolutions=1 + min(halvings, _HALVINGS),
            reversible=True,
            mct=is_rgb,
        )
    )


def _htj2k(samples: Samples, *, is_rgb: bool) -> bytes:
    """Its progression is RPCL, with tile-part lengths, as HTJ2K_LOSSLESS_RPCL wants it."""
    from imagecodecs import htj2k_encode

    return bytes(htj2k_encode(samples, reversible=True, rgb=is_rgb, planar=False, tlm=True))


def _impossible(target: str, reason: str) -> Unsupported:
    return Unsupported(f"It can't be compressed as {describe(target)}: {reason}")
