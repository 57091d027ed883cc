"""Look-up tables of a dataset: modality, VOI and presentation LUTs (PS3.3 C.11.1, C.11.2, C.11.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vna.dicom.rendering.attributes import Attributes

DESCRIPTOR, DATA = "00283002", "00283006"
_MAX_ENTRIES = 1 << 16
_SIGN = 1 << 15


@dataclass(frozen=True, slots=True)
class Lut:
    """`entries` are little endian uint16; the first stands for `first` and all below it."""

    first: int
    bits: int
    entries: bytes

    @property
    def table(self) -> NDArray[np.uint16]:
        """The entries as an array."""
        return np.frombuffer(self.entries, "<u2")

    @property
    def top(self) -> float:
        """The largest output that the table may have."""
        return float((1 << self.bits) - 1)

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The output for each input; those outside of the table get its nearest end (C.11.1.1)."""
        table = self.table
        index = np.clip(values - self.first, 0, len(table) - 1).astype(np.int64)
        return table[index].astype(np.float64)


def read_lut(item: Attributes, *, signed_input: bool) -> Lut | None:
    """The table of an item of a LUT sequence; None where there is none that can be read."""
    descriptor = item.numbers(DESCRIPTOR)
    if len(descriptor) < 3:
        return None
    count, first, bits = (int(number) for number in descriptor[:3])
    count = (count % _MAX_ENTRIES) or _MAX_ENTRIES
    if not 0 < bits <= 16:
        return None
    if signed_input and first >= _SIGN:  # the element was written, or read, as US
        first -= 2 * _SIGN
    entries = widened(item.data(DATA), count)
    return Lut(first, bits, entries.tobytes()) if len(entries) else None


def widened(data: bytes, count: int) -> NDArray[np.uint16]:
    """`count` entries of one byte each, or of two when there are so many bytes; fewer of short data."""
    if len(data) < 2 * count and len(data) in {count, count + 1}:
        return np.frombuffer(data, np.uint8, count).astype("<u2")
    return np.frombuffer(data[: len(data) & ~1], "<u2")[:count]
