"""Values of the DICOM JSON model written as bytes, or refused: nothing is lost on the way (PS3.18 F.2)."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import NoReturn

from vna.dicom.encode_values import format_ds
from vna.dicom.vrs import NUMBER_FORMATS
from vna.errors import InvalidInstance

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_ESCAPE = "\x1b"


def text_value(vr: str, values: Sequence[object], name: str = "") -> str:
    """The values of a text VR, names and number strings included, as the text of the element.

    Raises InvalidInstance, naming `name`, for anything that is not text or a number where that is text, too.
    """
    texts = [_person(value, name) if vr == "PN" else _text(vr, value, name) for value in values]
    text = "\\".join(texts)
    if _ESCAPE in text:
        raise InvalidInstance(
            f"the metadata has an escape sequence in {name}: text is Unicode there"
        )
    return text


def number_values(vr: str, values: Sequence[object], name: str) -> bytes:
    """The values of a binary number or of AT in little endian. Raises InvalidInstance."""
    if vr == "AT":
        return b"".join(_tag(value, name) for value in values)
    convert = _real if vr in {"FL", "FD"} else _whole
    try:
        numbers = [convert(value) for value in values]
        return struct.pack(f"<{len(numbers)}{NUMBER_FORMATS[vr]}", *numbers)
    except (TypeError, ValueError, OverflowError, struct.error):
        _refuse(vr, name)


def binary_value(text: object, name: str) -> bytes:
    """What base64 says. Raises InvalidInstance."""
    if not isinstance(text, str):
        _refuse("InlineBinary", name)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        _refuse("InlineBinary", name)


def _text(vr: str, value: object, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _refuse(vr, name)
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(vr, name)
    if vr == "DS":
        return format_ds(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if vr == "IS" and isinstance(value, float):
        _refuse(vr, name)
    return str(value)


def _person(value: object, name: str) -> str:
    """The component groups joined, without empty ones at the end (PS3.5 6.2.1.2)."""
    if not isinstance(value, Mapping):
        return _text("PN", value, name)
    groups = [value.get(group) or "" for group in _GROUPS]
    if set(value) - set(_GROUPS) or not all(isinstance(group, str) for group in groups):
        _refuse("PN", name)
    if any("=" in group or "\\" in group for group in groups):
        _refuse("PN", name)
    return "=".join(groups).rstrip("=")


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError
    return number


def _tag(value: object, name: str) -> bytes:
    if not isinstance(value, str) or _TAG.fullmatch(value) is None:
        _refuse("AT", name)
    return struct.pack("<HH", int(value[:4], 16), int(value[4:], 16))


def _refuse(vr: str, name: str) -> NoReturn:
    raise InvalidInstance(f"the metadata has a value in {name} that {vr} can't hold")
