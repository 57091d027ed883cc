"""Bytes of a native frame as an array of its stored words (PS3.5 8.1.1, 8.2; PS3.3 C.7.6.3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vna.dicom.decode import PixelDescription
from vna.errors import Unsupported

Words = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32] | NDArray[np.uint64]
Floats = NDArray[np.float32] | NDArray[np.float64]

_HALF_CHROMA = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_WHOLE_WORDS = frozenset({8, 16, 32, 64})
_MAX_BITS = 64
_BAND = 2**18
_FLOATS = {"7FE00008": "<f4", "7FE00009": "<f8"}
FLOAT_TAGS = frozenset(_FLOATS)
"""Float Pixel Data and Double Float Pixel Data."""


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """Which bits of a word are the pixel's, and what they mean (PS3.5 8.1.1)."""

    bits_allocated: int
    bits_stored: int
    shift: int
    is_signed: bool

    def values(self, words: Words) -> NDArray[np.int64]:
        """The stored pixel values: shifted down, masked, and with their sign."""
        mask = (1 << self.bits_stored) - 1
        values = (words.astype(np.int64) >> self.shift) & np.int64(mask if mask < 1 << 63 else -1)
        if self.is_signed and self.bits_stored < _MAX_BITS:
            sign = np.int64(1 << (self.bits_stored - 1))
            values = (values ^ sign) - sign
        return values

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value that can be stored."""
        if self.is_signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1


def stored_format(description: PixelDescription, high_bit: int | None) -> StoredFormat:
    """From what a header says, whatever it says. `high_bit` None: right below the unused bits."""
    allocated = description.bits_allocated
    stored = description.bits_stored
    stored = stored if 0 < stored <= allocated else allocated
    shift = 0 if high_bit is None else high_bit + 1 - stored
    shift = shift if 0 <= shift <= allocated - stored else 0
    return StoredFormat(allocated, stored, shift, bool(description.pixel_representation & 1))


def bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Runs of rows of an array of `shape`: what takes many bytes a pixel is done with few pixels at a time."""
    rows, columns = shape[:2]
    height = max(1, _BAND // columns)
    return (slice(start, start + height) for start in range(0, rows, height))


def words_of(data: bytes, description: PixelDescription, photometric: str) -> Words:
    """(rows, columns) or (rows, columns, samples) of the words of one frame, samples by pixel.

    `photometric` and the planar configuration of `description` are those of `data`. Subsampled
    chroma is given to each pixel. Raises Unsupported when `data` is too short or of no known form.
    """
    rows, columns, samples = (
        description.rows,
        description.columns,
        description.samples_per_pixel,
    )
    if samples == 3 and photometric in _HALF_CHROMA and 8 * len(data) < description.frame_bits:
        return _from_half_chroma(data, description)
    words = _unpacked(data, description.bits_allocated, rows * columns * samples)
    if samples == 1:
        return words.reshape(rows, columns)
    if description.planar_configuration == 1:
        planes = words.reshape(samples, rows, columns)
        return cast("Words", np.ascontiguousarray(planes.transpose(1, 2, 0)))
    return words.reshape(rows, columns, samples)


def floats_of(data: bytes, description: PixelDescription, tag: str) -> Floats:
    """(rows, columns) of Float (7FE0,0008) or Double Float Pixel Data (7FE0,0009)."""
    kind = np.dtype(_FLOATS[tag])
    count = description.rows * description.columns
    _check_length(data, count * kind.itemsize)
    return np.frombuffer(data, kind, count).reshape(description.rows, description.columns)


def _unpacked(data: bytes, bits: int, count: int) -> Words:
    _check_length(data, -(-count * bits // 8))
    if bits in _WHOLE_WORDS:
        return np.frombuffer(data, f"<u{bits // 8}", count)
    if not 0 < bits < _MAX_BITS:
        raise Unsupported(f"Pixels of {bits} bits can't be rendered")
    single = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits, bitorder="little")
    if bits == 1:
        return single
    words = np.zeros(count, np.uint64)
    for position, plane in enumerate(single.reshape(count, bits).T):
        words |= plane.astype(np.uint64) << np.uint64(position)
    return words.astype(np.uint16) if bits <= 16 else words


def _from_half_chroma(data: bytes, description: PixelDescription) -> Words:
    """Two luminances, then the blue and the red difference of both (C.7.6.3.1.2)."""
    rows, columns = description.rows, description.columns
    if description.bits_allocated != 8 or columns % 2:
        raise Unsupported("Subsampled colour needs 8 bits a sample and an even number of columns")
    _check_length(data, rows * columns * 2)
    pairs = np.frombuffer(data, np.uint8, rows * columns * 2).reshape(-1, 4)
    words = np.empty((rows * columns // 2, 2, 3), np.uint8)
    words[:, :, 0] = pairs[:, :2]
    words[:, :, 1] = pairs[:, 2:3]
    words[:, :, 2] = pairs[:, 3:4]
    return words.reshape(rows, columns, 3)


def _check_length(data: bytes, needed: int) -> None:
    if len(data) < needed:
        raise Unsupported(f"The frame has {len(data)} bytes, {needed} are needed to render it")
