"""A decoded frame as an 8-bit picture in grey or colours (PS3.4 N.2, PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.colour import Bytes, rgb_of
from vna.dicom.rendering.covers import covered
from vna.dicom.rendering.frames import Frame
from vna.dicom.rendering.grey import Modality, Span, Voi, grey_of, span_of
from vna.dicom.rendering.palette import Palette, read_palette
from vna.dicom.rendering.samples import StoredFormat, Words, bands
from vna.dicom.rendering.transformations import (
    default_span,
    mapping_of,
    modality_of,
    padding_of,
    voi_of,
)
from vna.errors import Unsupported

_PALETTE_COLOUR = "PALETTE COLOR"
_PIXEL_PRESENTATION, _COLOURED = "00089205", frozenset({"COLOR", "MIXED"})


@dataclass(frozen=True, slots=True)
class _Grey:
    """What the header of a grey frame says; `voi` is None where only its pixels tell."""

    modality: Modality
    padding: tuple[float, float] | None
    voi: Voi | None


def picture(frame: Frame, voi: Voi | None = None, state: Attributes | None = None) -> Image.Image:
    """Grey or RGB, with the overlays on it. `voi`: instead of what the header says of grey images; `state`: what of a
    presentation state is drawn.

    Raises Unsupported for samples that mean nothing known.
    """
    return Image.fromarray(covered(_pixels(frame, voi), frame, state))


def own_span(frame: Frame) -> Span | None:
    """From the least to the greatest value of a grey frame whose header says nothing of what to show."""
    if not _is_grey(frame):
        return None
    grey = _grey(frame)
    return span_of(frame, grey.modality, grey.padding) if grey.voi is None else None


def _is_grey(frame: Frame) -> bool:
    return frame.words is None or (frame.words.ndim == 2 and frame.photometric != _PALETTE_COLOUR)


def _pixels(frame: Frame, voi: Voi | None) -> Bytes:
    words, attributes, stored = frame.words, frame.attributes, frame.stored
    if words is None:
        return _grey_pixels(frame, voi)
    if words.ndim == 3:
        palette = read_palette(attributes) if frame.photometric == "ARGB" else None
        return rgb_of(words, stored, frame.photometric, palette)
    palette = None
    if frame.photometric == _PALETTE_COLOUR or attributes.text(_PIXEL_PRESENTATION) in _COLOURED:
        palette = read_palette(attributes, is_signed=stored.is_signed)
    if frame.photometric == _PALETTE_COLOUR:
        if palette is None:
            raise Unsupported("The image is in palette colours and has no palette")
        return _coloured(words, stored, palette)
    grey = _grey_pixels(frame, voi)
    return grey if palette is None else _supplemented(grey, words, stored, palette)


def _coloured(words: Words, stored: StoredFormat, palette: Palette) -> Bytes:
    rgb = np.empty((*words.shape, 3), np.uint8)
    for rows in bands(words.shape):
        rgb[rows] = palette.apply(stored.values(words[rows]))
    return rgb


def _supplemented(grey: Bytes, words: Words, stored: StoredFormat, palette: Palette) -> Bytes:
    """Values from the palette's first on are colours, those below stay grey (C.7.6.19)."""
    rgb = np.repeat(grey[..., None], 3, axis=2)
    for rows in bands(words.shape):
        values = stored.values(words[rows])
        coloured = values >= palette.first
        rgb[rows][coloured] = palette.apply(values[coloured])
    return rgb


def _grey_pixels(frame: Frame, voi: Voi | None) -> Bytes:
    grey = _grey(frame)
    shown = voi or grey.voi or span_of(frame, grey.modality, grey.padding)
    return grey_of(frame, mapping_of(frame.attributes, grey.modality, shown, grey.padding))


def _grey(frame: Frame) -> _Grey:
    stored = None if frame.words is None else frame.stored
    modality = modality_of(frame.attributes, stored)
    voi = voi_of(frame.attributes, modality, stored)
    if voi is None and stored is not None:
        voi = default_span(frame.attributes, modality, stored)
    return _Grey(modality, padding_of(frame.attributes, stored), voi)
