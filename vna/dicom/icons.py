"""Small drawings that stand for objects of which there is no image."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from vna.dicom.documents import Form

ICON_VERSION = 1
"""Counts the changes of the drawings: entity tags hold it."""

_LARGEST, _SMALLEST = 512, 16
_DRAWN = 256
_PAPER, _LINE, _BACK = (250, 250, 250), (120, 120, 120), (48, 48, 48)
_FORMATS: Mapping[str, str] = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}
_WORDS: Mapping[Form, str] = {
    Form.IMAGE: "?",
    Form.VIDEO: "VIDEO",
    Form.DOCUMENT: "DOC",
    Form.REPORT: "SR",
    Form.PRESENTATION: "PR",
    Form.DATA: "DATA",
}


@lru_cache(maxsize=64)
def icon(form: Form, media_type: str, size: int) -> bytes:
    """A square drawing of a sheet with a word on it, `size` pixels wide within reason."""
    side = max(_SMALLEST, min(size, _LARGEST))
    image = _sheet(_WORDS[form]).resize((side, side), Image.Resampling.LANCZOS)
    body = io.BytesIO()
    image.save(body, _FORMATS[media_type])
    return body.getvalue()


def _sheet(word: str) -> Image.Image:
    image = Image.new("RGB", (_DRAWN, _DRAWN), _BACK)
    draw = ImageDraw.Draw(image)
    draw.polygon([(56, 24), (160, 24), (200, 64), (200, 232), (56, 232)], _PAPER, _LINE)
    draw.polygon([(160, 24), (160, 64), (200, 64)], _BACK, _LINE)
    font = ImageFont.load_default(size=36)
    draw.text((128, 132), word, _LINE, font=font, anchor="mm")
    return image
