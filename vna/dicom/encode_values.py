"""Values of one element in the DICOM JSON model, written as bytes (PS3.5 6.2)."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Sequence

import numpy as np

from vna.dicom.vrs import BINARY_VRS, NUMBER_FORMATS, WORD_SIZES

_DS_LIMIT = 16
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
NUL_PADDED_VRS = frozenset({"UI", "SQ", *BINARY_VRS})


def encode_value(vr: str, values: Sequence[object], is_big_endian: bool) -> bytes:
    """`values` of `vr` without padding; nothing when they do not fit the VR.

    Text and sequences are the caller's; what comes here is numbers, tags and binary (one string of
    base64).
    """
    try:
        if vr in NUMBER_FORMATS:
            return _numbers(vr, values, ">" if is_big_endian else "<")
        if vr in BINARY_VRS:
            return _binary(vr, values, is_big_endian)
        if vr == "AT":
            return _tags(values, is_big_endian)
    except (ValueError, TypeError, OverflowError, struct.error, binascii.Error):
        return b""
    return b""


def plain_text(vr: str, values: Sequence[object]) -> str:
    """`values` of a text VR, names and numbers included, joined by backslashes."""
    render = format_ds if vr == "DS" else _name if vr == "PN" else _plain
    return render(values[0]) if len(values) == 1 else "\\".join(map(render, values))


def _name(value: object) -> str:
    """The component groups of a PN joined, without empty ones at the end (PS3.5 6.2.1.2)."""
    if not isinstance(value, dict):
        return _plain(value)
    return "=".join([str(value.get(group, "")) for group in _NAME_GROUPS]).rstrip("=")


def format_ds(value: object) -> str:
    """A number as a decimal string of at most 16 characters, with as many digits as fit (PS3.5
    6.2).

    Text is kept as it is; NaN and infinity have no decimal string and become empty.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if not isinstance(value, (int, float)):
        return _plain(value)
    text = repr(value).removesuffix(".0")
    if len(text) <= _DS_LIMIT:
        return text
    shorter = (f"{float(value):.{digits}g}" for digits in range(_DS_LIMIT, 0, -1))
    return next(text for text in shorter if len(text) <= _DS_LIMIT)


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _numbers(vr: str, values: Sequence[object], order: str) -> bytes:
    convert = float if vr in {"FL", "FD"} else int
    numbers = [convert(value) for value in values if isinstance(value, (int, float, str))]
    return struct.pack(f"{order}{len(numbers)}{NUMBER_FORMATS[vr]}", *numbers)


def _tags(values: Sequence[object], is_big_endian: bool) -> bytes:
    order = ">" if is_big_endian else "<"
    numbers = [int(str(value), 16) for value in values if value is not None]
    return b"".join(struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) for tag in numbers)


def _binary(vr: str, values: Sequence[object], is_big_endian: bool) -> bytes:
    data = base64.b64decode(str(values[0])) if values[0] else b""
    return swap_words(data, WORD_SIZES.get(vr, 1)) if is_big_endian else data


def swap_words(data: bytes | memoryview, size: int) -> bytes:
    """`data` with each word of `size` bytes reversed; an incomplete last word is left."""
    if size == 1:
        return bytes(data)
    whole = len(data) - len(data) % size
    words = np.frombuffer(data[:whole], np.uint8).reshape(-1, size)
    return words[:, ::-1].tobytes() + bytes(data[whole:])
