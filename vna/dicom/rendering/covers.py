"""What lies over the pixels of an image: its overlays, or the shutters and overlays of a presentation state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.colour import Bytes
from vna.dicom.rendering.frames import Frame
from vna.dicom.rendering.inks import BLACK, WHITE, Colour, colour_of, is_grey
from vna.dicom.rendering.overlays import GROUPS, Mask, overlaid, read_overlays
from vna.dicom.rendering.shutters import OVERLAY_GROUP, SHAPES, shutter_mask

_LAYERS, _LAYER, _ORDER = "00700060", "00700002", "00700062"
_LAYER_GREY, _LAYER_LAB = "00700066", "00700401"
_SHUTTER_GREY, _SHUTTER_LAB = "00181622", "00181624"
_ACTIVATION, _DATA = "1001", "3000"


@dataclass(frozen=True, slots=True)
class Layer:
    """A graphic layer: lower ones of `order` are drawn first."""

    order: float
    colour: Colour


def read_layers(state: Attributes) -> Mapping[str, Layer]:
    """The layers of a state by their name (PS3.3 C.10.7)."""
    return {
        item.text(_LAYER): Layer(
            item.number(_ORDER) or 0.0, colour_of(item, _LAYER_GREY, _LAYER_LAB, WHITE)
        )
        for item in state.items(_LAYERS)
    }


def covered(pixels: Bytes, frame: Frame, state: Attributes | None) -> Bytes:
    """`pixels` with everything on them that belongs there. With a state that is what it says, and of the
    image's own overlays those that it activates (C.11.7).
    """
    shape = pixels.shape[0], pixels.shape[1]
    found = _own(frame, shape) if state is None else _of_state(frame, state, shape)
    for number, (mask, colour) in enumerate(found):
        if pixels.ndim == 2 and not is_grey(colour):
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        elif not number:
            pixels = pixels.copy()
        pixels[mask] = colour[0] if pixels.ndim == 2 else colour
    return pixels


def _own(frame: Frame, shape: tuple[int, int]) -> Iterator[tuple[Mask, Colour]]:
    mask = _overlay_mask(frame.attributes, frame, shape, GROUPS)
    if mask is not None:
        yield mask, WHITE


def _of_state(
    frame: Frame, state: Attributes, shape: tuple[int, int]
) -> Iterator[tuple[Mask, Colour]]:
    shutters = shutter_mask(state, shape), _bitmap_shutter(frame, state, shape)
    for mask in shutters:
        if mask is not None:
            yield mask, colour_of(state, _SHUTTER_GREY, _SHUTTER_LAB, BLACK)
    layers, lowest = read_layers(state), Layer(0.0, WHITE)
    active = [(layers.get(state.text(group + _ACTIVATION), lowest), group) for group in GROUPS]
    for layer, group in sorted(active, key=lambda found: found[0].order):
        if not state.text(group + _ACTIVATION):
            continue
        source = state if group + _DATA in state else frame.attributes
        mask = _overlay_mask(source, frame, shape, (group,))
        if mask is not None:
            yield mask, layer.colour


def _bitmap_shutter(frame: Frame, state: Attributes, shape: tuple[int, int]) -> Mask | None:
    """Where the overlay that is the shutter has its bits set (C.7.6.15)."""
    if "BITMAP" not in state.values(SHAPES):
        return None
    group = f"{state.integer(OVERLAY_GROUP):04X}"
    return _overlay_mask(state, frame, shape, (group,)) if group in GROUPS else None


def _overlay_mask(
    source: Attributes, frame: Frame, shape: tuple[int, int], groups: tuple[str, ...]
) -> Mask | None:
    planes = [
        (overlay, plane)
        for overlay in read_overlays(source, groups)
        if (plane := overlay.plane(frame.number, frame.words)) is not None
    ]
    return overlaid(shape, planes) if planes else None
