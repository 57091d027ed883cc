"""Overlay planes (60xx), in elements of their own or in unused bits of the pixels (PS3.3 C.9.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.samples import Words

Mask = NDArray[np.bool_]

GROUPS = tuple(f"60{number:02X}" for number in range(0, 32, 2))
_MAX_SIDE = 1 << 16


@dataclass(frozen=True, slots=True)
class Overlay:
    """A plane of `rows` by `columns` whose first bit lies over the pixel at `top`, `left` (from 0).

    `data` holds `frames` planes without gaps, the first of them for frame `first_frame`; None: bit
    `bit_position` of the pixels themselves.
    """

    rows: int
    columns: int
    top: int
    left: int
    frames: int
    first_frame: int
    bit_position: int
    data: bytes | None

    def plane(self, number: int, words: Words | None) -> Mask | None:
        """The plane for frame `number` (from 1), whose pixels are `words`; None when it has none."""
        if self.data is None:
            if words is None or words.ndim != 2 or self.bit_position >= 8 * words.itemsize:
                return None
            return (words >> self.bit_position & 1).astype(np.bool_)
        index = number - self.first_frame if self.frames > 1 else 0
        if not 0 <= index < self.frames:
            return None
        size = self.rows * self.columns
        first_byte, first_bit = divmod(index * size, 8)
        span = self.data[first_byte : -(-(index + 1) * size // 8)]
        bits = np.unpackbits(np.frombuffer(span, np.uint8), bitorder="little")
        bits = bits[first_bit : first_bit + size]
        return bits.reshape(self.rows, self.columns).astype(np.bool_) if len(bits) == size else None


def read_overlays(attributes: Attributes, groups: Sequence[str] = GROUPS) -> list[Overlay]:
    """The overlays of a dataset that can be read, in the order of their `groups`."""
    overlays = (_overlay(attributes, group) for group in groups)
    return [overlay for overlay in overlays if overlay is not None]


def _overlay(attributes: Attributes, group: str) -> Overlay | None:
    rows, columns = attributes.integer(group + "0010"), attributes.integer(group + "0011")
    if not (0 < rows < _MAX_SIDE and 0 < columns < _MAX_SIDE):
        return None
    origin = [*attributes.numbers(group + "0050"), 1, 1][:2]
    data = attributes.data(group + "3000")
    position = attributes.integer(group + "0102")
    if not data and not (position and attributes.integer(group + "0100") > 1):
        return None
    return Overlay(
        rows,
        columns,
        int(origin[0]) - 1,
        int(origin[1]) - 1,
        max(1, attributes.integer(group + "0015", 1)),
        max(1, attributes.integer(group + "0051", 1)),
        position,
        data or None,
    )


def overlaid(shape: tuple[int, int], planes: list[tuple[Overlay, Mask]]) -> Mask:
    """Where any of `planes` covers an image of `shape` (rows, columns)."""
    covered = np.zeros(shape, np.bool_)
    for overlay, mask in planes:
        top, left = max(0, overlay.top), max(0, overlay.left)
        part = mask[top - overlay.top :, left - overlay.left :]
        part = part[: max(0, shape[0] - top), : max(0, shape[1] - left)]
        covered[top : top + part.shape[0], left : left + part.shape[1]] |= part
    return covered
