"""Samples of a colour image as 8-bit RGB, whatever its photometric interpretation (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vna.dicom.rendering.palette import Palette
from vna.dicom.rendering.samples import StoredFormat, Words, bands
from vna.errors import Unsupported

Bytes = NDArray[np.uint8]

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114  # luminance of the primaries (ITU-R BT.601)
_MIDDLE = 128
_FOOT, _LUMA_RANGE, _CHROMA_RANGE = 16, 219, 224  # of YBR_PARTIAL


def rgb_of(words: Words, stored: StoredFormat, photometric: str, palette: Palette | None) -> Bytes:
    """(rows, columns, 3) of 8 bits from (rows, columns, samples). Raises Unsupported.

    `photometric` is what the words are now: decoders have undone the colour transformations of their
    own. YBR_ICT and YBR_RCT exist only inside JPEG 2000: outside of it they name what once was.
    """
    samples = words.shape[2]
    levels = eight_bits(words, stored)
    if samples == 4:
        return _from_four(levels, words, photometric, palette)
    if samples != 3:
        raise Unsupported(f"Images of {samples} samples a pixel can't be rendered")
    return _CONVERSIONS.get(photometric, _as_is)(levels)


def eight_bits(words: Words, stored: StoredFormat) -> Bytes:
    """The most significant 8 of the bits stored; fewer are spread over the range of 8."""
    bits, shift = stored.bits_stored, stored.shift
    if bits == 8 and shift == 0:
        return words.astype(np.uint8, copy=False)
    if bits < 8:
        top = (1 << bits) - 1
        return ((words >> shift & top).astype(np.uint16) * 255 // top).astype(np.uint8)
    return (words >> (shift + bits - 8) & 0xFF).astype(np.uint8)


def _as_is(levels: Bytes) -> Bytes:
    return np.ascontiguousarray(levels)


@dataclass(frozen=True, slots=True)
class _Chroma:
    """What is added to the luminance `luma` of each sample value, for each chroma; all rounded once."""

    luma: NDArray[np.int16]
    red: NDArray[np.int16]
    green: NDArray[np.int16]
    blue: NDArray[np.int16]


@lru_cache(maxsize=2)
def _chroma(luma_range: int, chroma_range: int, foot: int) -> _Chroma:
    values = np.arange(256, dtype=np.float64)
    luma = _rounded((values - foot) * (255 / luma_range))
    difference = (values - _MIDDLE) * (255 / chroma_range)
    red, blue = 2 * (1 - _RED) * difference, 2 * (1 - _BLUE) * difference
    green = -(_BLUE / _GREEN) * blue[:, None] - (_RED / _GREEN) * red[None, :]
    return _Chroma(luma, _rounded(red), _rounded(green), _rounded(blue))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.floor(values + 0.5).astype(np.int16)


def _from_ybr(levels: Bytes, chroma: _Chroma) -> Bytes:
    rgb = np.empty(levels.shape, np.uint8)
    for rows in bands(levels.shape):
        band = levels[rows]
        luma, blue, red = chroma.luma[band[..., 0]], band[..., 1], band[..., 2]
        rgb[rows, :, 0] = np.clip(luma + chroma.red[red], 0, 255)
        rgb[rows, :, 1] = np.clip(luma + chroma.green[blue, red], 0, 255)
        rgb[rows, :, 2] = np.clip(luma + chroma.blue[blue], 0, 255)
    return rgb


def _full(levels: Bytes) -> Bytes:
    return _from_ybr(levels, _chroma(255, 255, 0))


def _partial(levels: Bytes) -> Bytes:
    return _from_ybr(levels, _chroma(_LUMA_RANGE, _CHROMA_RANGE, _FOOT))


def _through_pillow(levels: Bytes, mode: str) -> Bytes:
    height, width, _ = levels.shape
    image = Image.frombytes(mode, (width, height), levels.tobytes())
    return np.asarray(image.convert("RGB"))


def _hsv(levels: Bytes) -> Bytes:
    return _through_pillow(levels, "HSV")


_CONVERSIONS: dict[str, Callable[[Bytes], Bytes]] = {
    "YBR_FULL": _full,
    "YBR_FULL_422": _full,
    "YBR_PARTIAL_422": _partial,
    "YBR_PARTIAL_420": _partial,
    "HSV": _hsv,
}


def _from_four(levels: Bytes, words: Words, photometric: str, palette: Palette | None) -> Bytes:
    """CMYK, or ARGB, whose first sample, where it is not 0, stands for a colour of the palette."""
    if photometric == "CMYK":
        return _through_pillow(levels, "CMYK")
    if photometric != "ARGB":
        raise Unsupported(f"Images of 4 samples a pixel in {photometric!r} can't be rendered")
    rgb = np.ascontiguousarray(levels[..., 1:])
    if palette is not None:
        alpha = words[..., 0].astype(np.int64)
        rgb[alpha > 0] = palette.apply(alpha[alpha > 0])
    return rgb
