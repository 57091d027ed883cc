"""Shutters of a presentation state: which pixels of an image they hide (PS3.3 C.7.6.11)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.overlays import Mask
from vna.dicom.rendering.samples import bands

Shape = tuple[int, int]

SHAPES, OVERLAY_GROUP = "00181600", "00181623"
_LEFT, _RIGHT, _UPPER, _LOWER = "00181602", "00181604", "00181606", "00181608"
_CENTER, _RADIUS, _VERTICES = "00181610", "00181612", "00181620"
_FAR = 1 << 17


def shutter_mask(state: Attributes, shape: Shape) -> Mask | None:
    """What the shutters hide of an image of `shape` (rows, columns); None where they hide nothing.

    Of several shapes each hides what lies outside of it. Shapes that lack what they need do not count.
    """
    hidden: Mask | None = None
    for name in dict.fromkeys(map(str, state.values(SHAPES))):
        seen = _SEEN[name](state, shape) if name in _SEEN else None
        if seen is not None:
            hidden = ~seen if hidden is None else hidden | ~seen
    return hidden


def _rectangle(state: Attributes, shape: Shape) -> Mask | None:
    edges = [_near(number) for tag in _EDGES for number in state.numbers(tag)[:1]]
    if len(edges) != len(_EDGES):
        return None
    left, right, upper, lower = (int(edge) for edge in edges)
    seen = np.zeros(shape, np.bool_)
    seen[max(0, upper - 1) : max(0, lower), max(0, left - 1) : max(0, right)] = True
    return seen


def _circle(state: Attributes, shape: Shape) -> Mask | None:
    center, radius = state.numbers(_CENTER), state.number(_RADIUS)
    if len(center) != 2 or radius is None:
        return None
    row, column = (_near(number) - 1 for number in center)
    across = (np.arange(shape[1]) - column) ** 2
    seen = np.zeros(shape, np.bool_)
    for rows in bands(shape):
        down = (np.arange(shape[0])[rows] - row) ** 2
        seen[rows] = down[:, None] + across <= _near(radius) ** 2
    return seen


def _polygon(state: Attributes, shape: Shape) -> Mask | None:
    numbers = [_near(number) - 1 for number in state.numbers(_VERTICES)]
    corners = list(zip(numbers[1::2], numbers[::2], strict=False))
    if len(corners) < 3:
        return None
    image = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon(corners, fill=1, outline=1)
    return np.asarray(image)


def _near(number: float) -> float:
    """`number`, or one that is as far outside of every image."""
    return min(_FAR, max(-_FAR, number))


_EDGES = (_LEFT, _RIGHT, _UPPER, _LOWER)
_SEEN: dict[str, Callable[[Attributes, Shape], Mask | None]] = {
    "RECTANGULAR": _rectangle,
    "CIRCULAR": _circle,
    "POLYGONAL": _polygon,
}
