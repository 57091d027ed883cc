"""Letters of every script on pictures: each run of a line in the first font that has them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

from vna.dicom.rendering.inks import Fill

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
NAMES = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "NanumGothic.ttf",
)
"""Fonts of the system that are asked, in this order, for what Pillow's own lacks: it has ASCII and little else."""

LINE_HEIGHT = 1.25
"""From one line to the next, in sizes."""

_ABSENT, _UNKNOWN = "\U0010fffd", "?"
_TRIAL = 16


@dataclass(frozen=True, slots=True)
class Ink:
    """How a line is written: letters of `size` pixels in `fill`, with an edge where `edge` is a colour."""

    size: int
    fill: Fill
    edge: Fill | None = None


def line_width(text: str, size: int) -> float:
    """The pixels that `text` takes from left to right."""
    return float(sum(font.getlength(run) for font, run in _runs(text, size)))


def draw_line(
    draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, ink: Ink
) -> None:
    """One line whose letters begin at `position`, left and above. What no font has becomes "?"."""
    left, top = position
    width = 0 if ink.edge is None else max(1, ink.size // 10)
    for font, run in _runs(text, ink.size):
        base = (left, top + ink.size)  # fonts of different heights stand on one line
        draw.text(base, run, ink.fill, font, "ls", stroke_width=width, stroke_fill=ink.edge)
        left += font.getlength(run)


def _runs(text: str, size: int) -> Iterator[tuple[Font, str]]:
    if text.isascii():
        yield _face(0, size), text
        return
    run, last = "", 0
    for letter in text:
        face, shown = _shown(letter) if not unicodedata.combining(letter) else (last, letter)
        if run and face != last:
            yield _face(last, size), run
            run = ""
        run, last = run + shown, face
    yield _face(last, size), run


@lru_cache(maxsize=4096)
def _shown(letter: str) -> tuple[int, str]:
    """The number of the font that has `letter`, and what is written: of an accented one perhaps its base."""
    base = unicodedata.normalize("NFKD", letter)[:1]
    for form in (letter, base) if base.isascii() else (letter,):
        for number in range(len(_files()) + 1):
            if _has(number, form):
                return number, form
    return 0, _UNKNOWN


def _has(number: int, letter: str) -> bool:
    if letter.isspace():
        return True
    font = _face(number, _TRIAL)
    return bytes(font.getmask(letter)) != bytes(font.getmask(_ABSENT))


@lru_cache(maxsize=1)
def _files() -> tuple[Path, ...]:
    there = {path.name: path for folder in FOLDERS for path in folder.rglob("*.tt[cf]")}
    return tuple(there[name] for name in NAMES if name in there)


@lru_cache(maxsize=32)
def _face(number: int, size: int) -> Font:
    """Pillow's font, then those of the system."""
    if number == 0:
        return ImageFont.load_default(size)
    return ImageFont.truetype(_files()[number - 1], size)
