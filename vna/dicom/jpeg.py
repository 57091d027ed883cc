"""Frames of JPEG and JPEG-LS as samples (ISO 10918-1, ISO 14495-1)."""

from __future__ import annotations

from typing import Any

import numpy as np

from vna.dicom.codestream import Codestream

Samples = np.ndarray[Any, np.dtype[Any]]

_BITS_OF_A_BYTE = 8
_END = b"\xff\xd9"
_ANYTHING = b"\x5a\xa5\x36\x69" * 64
_SAME_COLOURS = {1: "GRAYSCALE", 3: "RGB", 4: "CMYK"}
"""Names by which the decoder leaves so many samples a pixel as they are."""


def decode_jpeg(frame: bytes, header: Codestream, *, from_ybr: bool) -> Samples:
    """The samples of a JPEG of any process but the hierarchical ones, in words of 8 or 16 bits.

    `from_ybr`: they become RGB. Raises ValueError for a frame that is cut off, RuntimeError for one
    that can't be read.
    """
    from imagecodecs import jpeg8_decode

    same = _SAME_COLOURS.get(header.samples)
    colours = ("YCBCR", "RGB") if from_ybr else (same, same)

    shape = (header.rows, header.columns, header.samples)[: 2 + (header.samples > 1)]
    word = np.uint8 if header.precision <= _BITS_OF_A_BYTE else np.uint16

    def decoded(data: bytes) -> Samples:
        out = np.empty(shape, word)  # a codestream that turns out to be of another size is refused
        return jpeg8_decode(data, colorspace=colours[0], outcolorspace=colours[1], out=out)

    samples = decoded(frame)
    # Where data are missing the decoder goes on with zeros. Some encoders omit the marker of the end
    # only: then it does not matter what follows.
    if not _has_end(frame, header) and np.any(samples != decoded(frame + _ANYTHING + _END)):
        raise ValueError("the codestream ends before its last pixel")
    return samples


def decode_jpeg_ls(frame: bytes, header: Codestream) -> Samples:
    """The samples of a JPEG-LS frame by pixel, in words of 8 or 16 bits. Raises RuntimeError."""
    from imagecodecs import jpegls_decode

    return jpegls_decode(frame if _has_end(frame, header) else frame + _END)


def _has_end(frame: bytes, header: Codestream) -> bool:
    return frame.rfind(_END, header.offset) >= 0


def sign_extended(samples: Samples, bits: int) -> Samples:
    """Words as signed ones, whose lowest `bits` are two's complement numbers."""
    signed = samples.view(f"i{samples.itemsize}")
    unused = 8 * samples.itemsize - bits
    return signed << unused >> unused if unused > 0 else signed
