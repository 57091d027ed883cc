"""From stored values of a monochrome image to 8-bit grey (PS3.4 N.2): modality, VOI, presentation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vna.dicom.rendering.frames import Frame
from vna.dicom.rendering.luts import Lut
from vna.dicom.rendering.options import VoiFunction, Window
from vna.dicom.rendering.samples import StoredFormat, Words, bands

Grey = NDArray[np.uint8]
Values = NDArray[np.float64]

_TABLES_KEPT = 32
_TABLE_BITS = 16


@dataclass(frozen=True, slots=True)
class Modality:
    """The modality transformation (C.11.1): a table, or a slope and an intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None

    def apply(self, values: Values) -> Values:
        """Manufacturer independent values, such as Hounsfield units."""
        if self.lut is not None:
            return self.lut.apply(values)
        if self.slope == 1.0 and self.intercept == 0.0:
            return values
        return values * self.slope + self.intercept


@dataclass(frozen=True, slots=True)
class Span:
    """The values from `low` to `high` shown from black to white: for images without a VOI transformation."""

    low: float
    high: float


Voi = Window | Lut | Span


@dataclass(frozen=True, slots=True)
class GreyMapping:
    """All that decides what grey a stored value becomes.

    `padding`: the stored values, both included, that stand for no pixel (C.7.5.1.1.2). `presentation`:
    a table from the output of the VOI transformation to P-values.
    """

    modality: Modality
    voi: Voi
    padding: tuple[float, float] | None = None
    presentation: Lut | None = None
    is_inverted: bool = False

    def apply(self, stored: Values) -> Grey:
        """The grey of each stored value; padding is black, and so is what is no number but for its inversion."""
        with np.errstate(all="ignore"):  # of float pixel data, which may hold anything
            levels = voi_levels(self.voi, self.modality.apply(stored))
            levels = np.nan_to_num(np.clip(levels, 0.0, 1.0))
        if self.presentation is not None:
            levels = _presented(self.presentation, levels)
        if self.is_inverted:
            levels = 1.0 - levels
        grey = np.floor(levels * 255.0 + 0.5).astype(np.uint8)
        if self.padding is not None:
            grey[is_padding(stored, self.padding)] = 0
        return grey


def is_padding(stored: Values, padding: tuple[float, float]) -> NDArray[np.bool_]:
    """Where `stored` lies in the range of `padding`."""
    return (stored >= padding[0]) & (stored <= padding[1])


def voi_levels(voi: Voi, values: Values) -> Values:
    """The output of the VOI transformation, 0 for black to 1 for white."""
    match voi:
        case Lut():
            return voi.apply(values) / voi.top
        case Span(low, high):
            return (
                (values - low) / (high - low) if high > low else (values > low).astype(np.float64)
            )
        case Window(center, width, VoiFunction.SIGMOID):
            return 1.0 / (1.0 + np.exp(-4.0 * (values - center) / width))
        case Window(center, width, VoiFunction.LINEAR_EXACT):
            return _linear(values, center, width)
        case Window(center, width):
            return _linear(values, center - 0.5, width - 1.0)


def _linear(values: Values, center: float, width: float) -> Values:
    if width <= 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def _presented(lut: Lut, levels: Values) -> Values:
    """The whole input range of the table is the whole output range of what is before it (C.11.6.1)."""
    table = lut.table
    index = np.floor(levels * (len(table) - 1) + 0.5).astype(np.int64)
    return table[index] / lut.top


@lru_cache(maxsize=_TABLES_KEPT)
def _grey_table(mapping: GreyMapping, stored: StoredFormat) -> Grey:
    table = mapping.apply(_every_value(stored))
    table.flags.writeable = False
    return table


def _every_value(stored: StoredFormat) -> Values:
    words = np.arange(1 << stored.bits_allocated, dtype=np.uint16)
    return stored.values(words).astype(np.float64)


def grey_of(frame: Frame, mapping: GreyMapping) -> Grey:
    """A frame of one sample a pixel; by a table of all its words where they are short enough for one."""
    grey = np.empty(frame.samples.shape, np.uint8)
    words = _short_words(frame)
    for rows in bands(grey.shape):
        if words is None:
            grey[rows] = mapping.apply(frame.values(rows))
        else:
            np.take(_grey_table(mapping, frame.stored), words[rows], out=grey[rows], mode="clip")
    return grey


def _short_words(frame: Frame) -> Words | None:
    """The words of a frame when they have no more bits than a table is made for."""
    return frame.words if frame.stored.bits_allocated <= _TABLE_BITS else None


def span_of(frame: Frame, modality: Modality, padding: tuple[float, float] | None) -> Span:
    """From the least to the greatest value after the modality transformation that is no padding."""
    words = _short_words(frame)
    if words is None:
        parts: Iterable[Values] = map(frame.values, bands(frame.samples.shape))
    else:
        present = np.zeros(1 << frame.stored.bits_allocated, np.bool_)
        for rows in bands(words.shape):
            present[words[rows]] = True
        parts = [_every_value(frame.stored)[present]]
    return widest([span for part in parts if (span := _span(part, modality, padding)) is not None])


def _span(stored: Values, modality: Modality, padding: tuple[float, float] | None) -> Span | None:
    stored = stored[np.isfinite(stored)]
    if padding is not None:
        stored = stored[~is_padding(stored, padding)]
    if not stored.size:
        return None
    values = modality.apply(stored)
    return Span(float(values.min()), float(values.max()))


def widest(spans: list[Span]) -> Span:
    """What holds all of `spans`; nothing but 0 when there are none."""
    lows, highs = [span.low for span in spans], [span.high for span in spans]
    return Span(min(lows, default=0.0), max(highs, default=0.0))
