"""Encoded values as members of the DICOM JSON model (PS3.18 F.2): one rule per VR."""

from __future__ import annotations

import math
import re
import struct

from vna.dicom.charset import Charsets, decode
from vna.dicom.vrs import CHARSET_VRS, NUMBER_FORMATS, SINGLE_TEXT_VRS, TEXT_VRS, WORD_SIZES
from vna.model.query import JsonElement

_SIZES = {vr: struct.calcsize("<" + code) for vr, code in NUMBER_FORMATS.items()}
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_PLAIN = TEXT_VRS - {"AE", "UI", "PN", "DS", "IS", "UR"}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def value_json(
    vr: str,
    data: bytes,
    charsets: Charsets,
    *,
    big_endian: bool = False,
    warnings: list[str] | None = None,
) -> JsonElement:
    """A value of any VR but SQ and the binary ones. No "Value" when there is none; an empty one of
    several is None.

    DS and IS are numbers where they parse, else text. NaN and infinities are text (they are no JSON
    numbers).
    """
    if not data:
        return {"vr": vr}
    if vr in _PLAIN and data.isascii() and b"\\" not in data and b"\x1b" not in data:
        text = data.decode("ascii").rstrip("\0 ")  # most elements of most objects
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}
    values = _values(vr, data, charsets, big_endian, warnings)
    if not values or values == [None]:
        return {"vr": vr}
    return {"vr": vr, "Value": values}


def _values(
    vr: str, data: bytes, charsets: Charsets, big_endian: bool, warnings: list[str] | None
) -> list[object]:
    if vr in NUMBER_FORMATS:
        return _numbers(vr, data, big_endian=big_endian)
    if vr == "AT":
        return _tags(data, big_endian=big_endian)
    if vr in {"DS", "IS"}:
        return _number_strings(vr, data)
    if vr == "PN":
        return [_person(name) for name in _texts(_text(vr, data, charsets, warnings))]
    if vr in SINGLE_TEXT_VRS:
        return _single(vr, data, charsets, warnings)
    return _multiple(vr, _text(vr, data, charsets, warnings))


def _text(vr: str, data: bytes, charsets: Charsets, warnings: list[str] | None) -> str:
    """Text of other VRs that breaks the rule to be ASCII is most probably of the dataset's set."""
    if vr in CHARSET_VRS:
        return decode(data, charsets, warnings, vr=vr)
    if not data.isascii() and warnings is not None:
        warnings.append(f"a value of VR {vr} is not ASCII")
    return decode(data, charsets, vr=vr)


def _texts(text: str) -> list[str]:
    return [part.rstrip("\0 ") for part in text.split("\\")]


def _multiple(vr: str, text: str) -> list[object]:
    if "\\" not in text:
        text = text.strip("\0 ") if vr in {"AE", "UI"} else text.rstrip("\0 ")
        return [text] if text else []
    if vr in {"AE", "UI"}:
        text = text.replace(" ", "") if vr == "UI" else "\\".join(map(str.strip, text.split("\\")))
    values = _texts(text)
    return [value or None for value in values] if any(values) else []


def _single(vr: str, data: bytes, charsets: Charsets, warnings: list[str] | None) -> list[object]:
    """LT, ST, UT, UR: one value, backslashes are text, leading spaces count."""
    text = _text(vr, data, charsets, warnings).rstrip("\0 ")
    return [text] if text else []


def _person(name: str) -> object:
    """The component groups of a PN that are there (F.2.2)."""
    groups = [group.rstrip("\0 ") for group in name.split("=", 2)]
    return {key: group for key, group in zip(_GROUPS, groups, strict=False) if group} or None


def _numbers(vr: str, data: bytes, *, big_endian: bool) -> list[object]:
    count = len(data) // _SIZES[vr]
    code = f"{'>' if big_endian else '<'}{count}{NUMBER_FORMATS[vr]}"
    values: list[object] = list(struct.unpack_from(code, data))
    if vr in {"FL", "FD"}:
        return [finite(value) for value in values]
    return values


def finite(value: object) -> object:
    """JSON has neither NaN nor infinities: they become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _tags(data: bytes, *, big_endian: bool) -> list[object]:
    numbers = struct.unpack_from(f"{'>' if big_endian else '<'}{len(data) // 4 * 2}H", data)
    return [
        f"{group:04X}{number:04X}"
        for group, number in zip(numbers[::2], numbers[1::2], strict=True)
    ]


def _number_strings(vr: str, data: bytes) -> list[object]:
    parts = data.decode("latin-1").strip("\0 ").split("\\")
    convert = _decimal if vr == "DS" else _integer
    values = [convert(part) for part in parts]
    return values if any(value is not None for value in values) else []


def _decimal(text: str) -> object:
    try:
        number = float(text)
    except ValueError:
        return text.strip("\0 ") or None
    if math.isfinite(number) and _DECIMAL.fullmatch(text.strip()):
        return number
    return text.strip()


def _integer(text: str) -> object:
    text = text.strip("\0 ")
    if _INTEGER.fullmatch(text):
        number = int(text)
    elif _DECIMAL.fullmatch(text) and float(text).is_integer():
        number = int(float(text))
    else:
        return text or None
    return number if abs(number) < 2**53 else text


def swapped(vr: str, data: bytes) -> bytes:
    """Big-endian words as little endian, the order of InlineBinary and bulk data (F.2.7)."""
    size = WORD_SIZES.get(vr, 1)
    if size == 1:
        return data
    whole = len(data) // size * size
    code = {2: "H", 4: "I", 8: "Q"}[size]
    words = struct.unpack(f">{whole // size}{code}", data[:whole])
    return struct.pack(f"<{whole // size}{code}", *words) + data[whole:]
