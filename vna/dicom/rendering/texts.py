"""Text of annotations in its box, or at its anchor, upright however the image is turned (PS3.3 C.10.5.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageDraw

from vna.dicom.rendering.annotation import text_size
from vna.dicom.rendering.fonts import LINE_HEIGHT, Ink, draw_line, line_width
from vna.dicom.rendering.inks import Colour, Fill
from vna.dicom.rendering.plane import Point

_MOST_LINES, _LONGEST = 64, 256
_SMALLEST, _LARGEST = 6, 200
_JUSTIFIED = {"CENTER": 0.5, "RIGHT": 1.0}


@dataclass(frozen=True, slots=True)
class TextBox:
    """`corners`: two of the box on the picture, or none: then the text stands at its `anchor`."""

    text: str
    colour: Colour
    corners: tuple[Point, ...]
    justified: str
    anchor: Point | None
    shows_anchor: bool

    @property
    def lines(self) -> list[str]:
        """What is written, line by line."""
        found = [line.expandtabs(4)[:_LONGEST] for line in self.text.splitlines()[:_MOST_LINES]]
        return ["".join(letter for letter in line if letter.isprintable()) for line in found]


def draw_text(draw: ImageDraw.ImageDraw, box: TextBox, fill: Fill, size: tuple[int, int]) -> None:
    """Write it on a picture of `size`, with a line to its anchor where that is to be seen."""
    lines = box.lines
    if box.corners:
        (left, right), (top, bottom) = (sorted(ends) for ends in zip(*box.corners, strict=True))
        letters = _fitting(lines, right - left, bottom - top)
    else:
        letters = text_size(size)
        width = max((line_width(line, letters) for line in lines), default=0.0)
        height = letters * LINE_HEIGHT * len(lines)
        left, top = box.anchor or (0.0, 0.0)
        left, top = max(0.0, min(left, size[0] - width)), max(0.0, min(top, size[1] - height))
        right, bottom = left + width, top + height
    part = _JUSTIFIED.get(box.justified, 0.0)
    for line in lines:
        room = right - left - line_width(line, letters)
        draw_line(draw, (left + part * room, top), line, Ink(letters, fill))
        top += letters * LINE_HEIGHT
    if box.shows_anchor and box.anchor is not None and box.corners:
        x, y = box.anchor
        upper = min(corner[1] for corner in box.corners)
        near = min(right, max(left, x)), min(bottom, max(upper, y))
        draw.line([near, (x, y)], fill)


def _fitting(lines: list[str], width: float, height: float) -> int:
    """The size of letters with which `lines` fill a box without leaving it."""
    size = max(_SMALLEST, min(_LARGEST, int(height / LINE_HEIGHT / max(1, len(lines)))))
    widest = max((line_width(line, size) for line in lines), default=0.0)
    if widest > width:
        size = int(size * width / widest)
    return max(_SMALLEST, size)
