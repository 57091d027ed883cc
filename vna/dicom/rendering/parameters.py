"""The rendering query parameters as they are written in a URL (PS3.18 8.3.5.1)."""

from __future__ import annotations

import math
import re

from vna.dicom.rendering.options import (
    ANNOTATIONS,
    ICC_PROFILES,
    Region,
    Viewport,
    VoiFunction,
    Window,
)
from vna.errors import InvalidQuery

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,16}(?:\.[0-9]{0,16})?|\.[0-9]{1,16})(?:[eE][+-]?[0-9]{1,2})?"
)
_COUNT = re.compile(r"[0-9]{1,9}")
_MAX_QUALITY = 100


def parse_viewport(text: str) -> Viewport:
    """`vw,vh[,[sx],[sy],[sw],[sh]]` (8.3.5.1.3). Raises InvalidQuery, as all functions here do."""
    parts = [part.strip() for part in text.split(",")]
    if not 2 <= len(parts) <= 6 or not all(map(_COUNT.fullmatch, parts[:2])):
        raise InvalidQuery(
            f"viewport={text[:80]!r} is no width and height, with or without a source rectangle"
        )
    source = [_number("viewport", part) if part else None for part in parts[2:]]
    x, y, width, height = [*source, None, None, None, None][:4]
    if not (int(parts[0]) and int(parts[1])) or width == 0 or height == 0:
        raise InvalidQuery(f"viewport={text[:80]!r} has no size")
    return Viewport(int(parts[0]), int(parts[1]), x or 0.0, y or 0.0, width, height)


def parse_window(text: str) -> Window:
    """`center,width[,function]` (8.3.5.1.4); the function is linear where there is none."""
    parts = [part.strip() for part in text.split(",")]
    if not 2 <= len(parts) <= 3:
        raise InvalidQuery(f"window={text[:80]!r} is no center, width and function")
    name = parts[2].upper().replace("-", "_") if len(parts) == 3 else "LINEAR"
    if name not in VoiFunction.__members__:
        raise InvalidQuery(
            f"window={text[:80]!r}: the function is one of linear, linear-exact and sigmoid"
        )
    return window_of(_number("window", parts[0]), _number("window", parts[1]), VoiFunction(name))


def window_of(center: float, width: float, function: VoiFunction = VoiFunction.LINEAR) -> Window:
    """A window of finite numbers, as wide as its function needs it (PS3.3 C.11.2.1.2.1, C.11.2.1.3)."""
    least = 1.0 if function is VoiFunction.LINEAR else math.ulp(0.0)
    if not (math.isfinite(center) and math.isfinite(width) and width >= least):
        raise InvalidQuery(
            "A window needs a finite center and width; the width is at least 1 for linear, above 0 otherwise"
        )
    return Window(center, width, function)


def parse_quality(text: str) -> int:
    """1 to 100 (8.3.5.1.2)."""
    if not _COUNT.fullmatch(text) or not 1 <= int(text) <= _MAX_QUALITY:
        raise InvalidQuery(f"quality={text[:80]!r} is no number from 1 to 100")
    return int(text)


def parse_annotation(text: str) -> tuple[str, ...]:
    """A list of "patient" and "technique" (8.3.5.1.1), in that order and each once."""
    names = {part.strip().lower() for part in text.split(",") if part.strip()}
    if not names or not names <= set(ANNOTATIONS):
        raise InvalidQuery(f"annotation={text[:80]!r}: what can be shown is patient and technique")
    return tuple(name for name in ANNOTATIONS if name in names)


def parse_icc_profile(text: str) -> str:
    """One of ICC_PROFILES (8.3.5.1.5)."""
    name = text.strip().lower()
    if name not in ICC_PROFILES:
        raise InvalidQuery(f"iccprofile={text[:80]!r} is none of {', '.join(ICC_PROFILES)}")
    return name


def parse_region(text: str) -> Region:
    """`xmin,ymin,xmax,ymax`, each from 0 to 1, as the WADO-URI service has it (9.1.2.2.2)."""
    parts = text.split(",")
    if len(parts) != 4:
        raise InvalidQuery(f"region={text[:80]!r} is no left, top, right and bottom")
    left, top, right, bottom = (_number("region", part.strip()) for part in parts)
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InvalidQuery(f"region={text[:80]!r} is no rectangle of parts from 0 to 1")
    return Region(left, top, right, bottom)


def _number(parameter: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise InvalidQuery(f"{parameter}: {text[:80]!r} is no number")
    return float(text)
