"""Palette colour look-up tables, written out or in segments (PS3.3 C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.luts import widened
from vna.errors import Unsupported

_DESCRIPTORS = ("00281101", "00281102", "00281103")
_DATA = ("00281201", "00281202", "00281203")
_SEGMENTED = ("00281221", "00281222", "00281223")
_MAX_ENTRIES = 1 << 16
_SIGN = 1 << 15
_BYTE = 255
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Palette:
    """8-bit colours: `colours` is (entries, 3); the first stands for `first` and all below it."""

    first: int
    colours: NDArray[np.uint8]

    def apply(self, stored: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The colour of each stored value, a last axis of three."""
        index = np.clip(stored - self.first, 0, len(self.colours) - 1)
        return np.take(self.colours, index, axis=0)


def read_palette(attributes: Attributes, *, is_signed: bool = False) -> Palette | None:
    """The palette of a dataset; None when it has none. Raises Unsupported when it can't be read."""
    if not attributes.numbers(_DESCRIPTORS[0]):
        return None
    channels, first = [], 0
    for descriptor, data, segmented in zip(_DESCRIPTORS, _DATA, _SEGMENTED, strict=True):
        numbers = attributes.numbers(descriptor)
        if len(numbers) < 3:
            raise Unsupported(f"The palette's descriptor ({descriptor}) has no three values")
        count, first = (int(numbers[0]) % _MAX_ENTRIES) or _MAX_ENTRIES, int(numbers[1])
        entries = _entries(attributes, (data, segmented), count, int(numbers[2]))
        channels.append(_eight_bits(entries))
    length = min(map(len, channels))
    if not length:
        raise Unsupported("The image's palette has no data")
    if is_signed and first >= _SIGN:
        first -= 2 * _SIGN
    return Palette(first, np.stack([channel[:length] for channel in channels], axis=1))


def _entries(
    attributes: Attributes, tags: tuple[str, str], count: int, bits: int
) -> NDArray[np.uint16]:
    data = attributes.data(tags[0])
    if data:
        return widened(data, count)
    segments = attributes.data(tags[1])
    words = np.frombuffer(segments if bits <= 8 else segments[: len(segments) & ~1], _word(bits))
    return np.array(expand_segments(words.tolist(), bits, count), np.uint16)


def _word(bits: int) -> str:
    return "<u1" if bits <= 8 else "<u2"


def _eight_bits(entries: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Tables of 16-bit entries often hold 8-bit values, whatever their descriptor says."""
    if entries.size and int(entries.max()) > _BYTE:
        return (entries >> 8).astype(np.uint8)
    return entries.astype(np.uint8)


def expand_segments(words: Sequence[int], bits: int, count: int) -> list[int]:
    """The `count` entries that the segments in `words` (of 8 or 16 `bits`) describe (C.7.9.2).

    Raises Unsupported for what is no run of segments.
    """
    entries: list[int] = []
    try:
        _expand(words, 0, entries, bits, count)
    except IndexError as exc:
        raise Unsupported("The image's segmented palette breaks off") from exc
    return entries[:count]


def _expand(words: Sequence[int], position: int, entries: list[int], bits: int, count: int) -> None:
    while position + 1 < len(words) and len(entries) < count:
        kind, length = words[position], words[position + 1]
        if kind == _INDIRECT:
            start, position = _indirect(words, position + 2, bits)
            for _ in range(length):
                start = _segment(words, start, entries)
                if len(entries) >= count:
                    break
        else:
            position = _segment(words, position, entries)


def _segment(words: Sequence[int], position: int, entries: list[int]) -> int:
    """Append what a discrete or a linear segment describes; the position behind it."""
    kind, length = words[position], words[position + 1]
    position += 2
    if kind == _DISCRETE:
        values = words[position : position + length]
        if len(values) < length:
            raise IndexError
        entries.extend(values)
        return position + length
    if kind != _LINEAR or not entries:
        raise Unsupported(
            "The image's segmented palette has a segment that can't stand where it is"
        )
    first, last = entries[-1], words[position]
    step = np.arange(1, length + 1) * ((last - first) / max(1, length))
    entries.extend(np.around(first + step).astype(int).tolist())
    return position + 1


def _indirect(words: Sequence[int], position: int, bits: int) -> tuple[int, int]:
    """Where the segments begin that are to be repeated, and the position behind the offset.

    The offset counts bytes, its less significant part first (C.7.9.2.3).
    """
    if bits <= 8:
        low, high = (words[position + n] | words[position + n + 1] << 8 for n in (0, 2))
        return low | high << 16, position + 4
    return (words[position] | words[position + 1] << 16) // 2, position + 2
