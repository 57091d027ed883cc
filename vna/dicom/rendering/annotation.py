"""Text burnt into a rendered image: whom it shows, and how it was made (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from vna.dicom.rendering.attributes import Attributes
from vna.dicom.rendering.fonts import LINE_HEIGHT, Ink, draw_line, line_width
from vna.dicom.rendering.inks import BLACK, WHITE, fill_of

_PATIENT = (
    ("", "00100010", ""),
    ("ID ", "00100020", ""),
    ("", "00100030", ""),
    ("", "00100040", ""),
    ("", "00080080", ""),
    ("", "00081030", ""),
    ("", "00080020", ""),
)
_TECHNIQUE = (
    ("", "00080060", ""),
    ("", "0008103E", ""),
    ("", "00180015", ""),
    ("", "00200062", ""),
    ("", "00185101", ""),
    ("Series ", "00200011", ""),
    ("Image ", "00200013", ""),
    ("", "00180060", " kV"),
    ("", "00181151", " mA"),
    ("", "00181150", " ms"),
    ("TR ", "00180080", " ms"),
    ("TE ", "00180081", " ms"),
    ("Slice ", "00180050", " mm"),
    ("At ", "00201041", " mm"),
)
_LINES = {"patient": _PATIENT, "technique": _TECHNIQUE}
_DATES = frozenset({"00100030", "00080020"})
_LINES_HIGH = 36
_SMALLEST, _LARGEST = 9, 48
_LONGEST = 64


def annotation_lines(attributes: Attributes, name: str) -> list[str]:
    """What "patient" or "technique" shows: a line for each of its attributes that has a value."""
    lines = []
    for before, tag, behind in _LINES[name]:
        text = attributes.text(tag)
        if tag in _DATES and len(text) == 8 and text.isdigit():
            text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
        if text:
            lines.append(f"{before}{text}{behind}"[:_LONGEST])
    return lines


def text_size(size: tuple[int, int]) -> int:
    """How high letters are on an image of that size, in pixels."""
    return min(_LARGEST, max(_SMALLEST, min(size) // _LINES_HIGH))


def annotated(image: Image.Image, attributes: Attributes, names: Sequence[str]) -> Image.Image:
    """`image` with the lines of `names` in its upper corners, white on a black edge."""
    white, black = fill_of(image.mode, WHITE), fill_of(image.mode, BLACK)
    ink = Ink(text_size(image.size), white, black)
    image = image.copy()
    draw = ImageDraw.Draw(image)
    margin = ink.size // 2
    for name in names:
        top = float(margin)
        for text in annotation_lines(attributes, name):
            line = text.replace("^", " ").replace("\0", "")
            left = (
                margin if name == "patient" else image.width - margin - line_width(line, ink.size)
            )
            draw_line(draw, (left, top), line, ink)
            top += ink.size * LINE_HEIGHT
    return image
