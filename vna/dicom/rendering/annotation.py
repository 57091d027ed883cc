"""Text burnt into a rendered image: whom it shows, and how it was made (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from vna.dicom.rendering.attributes import Attributes

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


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def annotated(image: Image.Image, attributes: Attributes, names: Sequence[str]) -> Image.Image:
    """`image` with the lines of `names` in its upper corners, white on a black edge."""
    size = min(_LARGEST, max(_SMALLEST, min(image.size) // _LINES_HIGH))
    font = _font(size)
    image = image.copy()
    draw = ImageDraw.Draw(image)
    margin = size // 2
    for name in names:
        text = "\n".join(annotation_lines(attributes, name)).replace("^", " ").replace("\0", "")
        is_left = name == "patient"
        draw.multiline_text(
            (margin if is_left else image.width - margin, margin),
            text,
            fill="white",
            font=font,
            anchor="la" if is_left else "ra",
            align="left" if is_left else "right",
            stroke_width=max(1, size // 10),
            stroke_fill="black",
        )
    return image
