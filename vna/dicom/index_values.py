"""What the index keeps of a run of elements, per level, in the DICOM JSON model."""

from __future__ import annotations

import struct
from functools import lru_cache

from vna.dicom.attributes import BY_LEVEL, SEQUENCE_MEMBERS, Attribute
from vna.dicom.charset import Charsets, parse_charsets
from vna.dicom.elements import Scanner, Token
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.json_values import value_json
from vna.dicom.runs import Run, Values
from vna.dicom.vrs import NUMBER_FORMATS, TEXT_VRS, implicit_vr
from vna.model.identifiers import LEVELS
from vna.model.query import JsonElement

MAX_VALUE_BYTES = 4096
MAX_CHARSET_BYTES = 512
MAX_REMEMBERED_BYTES = 64
MAX_SEQUENCE_BYTES = 16 * 2**10
MAX_ITEMS = 16
MAX_DEPTH = 3
CHARACTER_SET = 0x00080005
_KEY = struct.Struct("<II2s").pack
_REPEATING = len(LEVELS) - 1
"""Patient, study and series attributes repeat; those of the instance do not."""


def read_values(run: Run, encoding: Encoding, charsets: Charsets) -> Values:
    """The values of a run; read once for the same character sets and remembered in it."""
    values = run.values
    if values is None or values.charsets != charsets:
        values = run.values = _ValueReader(run.data, encoding, charsets).read(run.tokens)
    return values


def coerced(
    vr: str, written: str, data: bytes, charsets: Charsets, big_endian: bool, warnings: list[str]
) -> JsonElement:
    """The value with the VR of the standard, whatever VR it is `written` with."""
    if written == vr or (written not in TEXT_VRS and written not in NUMBER_FORMATS):
        element = value_json(vr, data, charsets, big_endian=big_endian, warnings=warnings)
    elif vr in TEXT_VRS and written in TEXT_VRS:
        element = value_json(vr, data, charsets, warnings=warnings)
    else:
        element = _convert(vr, value_json(written, data, charsets, big_endian=big_endian))
    return _without_nul(element) if b"\0" in data else element


@lru_cache(maxsize=4096)
def _remembered(
    vr: str, written: str, data: bytes, charsets: tuple[str, ...], big_endian: bool
) -> tuple[JsonElement, tuple[str, ...]]:
    """As `coerced`, with its warnings; the same elements come again and again."""
    warnings: list[str] = []
    return coerced(vr, written, data, charsets, big_endian, warnings), tuple(warnings)


class _ValueReader:
    """Reads the elements of one buffer; `warnings` collects what is odd."""

    __slots__ = ("_buffer", "_charsets", "_encoding", "warnings")

    def __init__(self, buffer: Buffer, encoding: Encoding, charsets: Charsets) -> None:
        self._buffer, self._encoding, self._charsets = buffer, encoding, charsets
        self.warnings: list[str] = []

    def read(self, tokens: dict[int, Token]) -> Values:
        levels: tuple[dict[str, JsonElement], ...] = tuple({} for _ in LEVELS)
        keys: tuple[list[bytes], ...] = tuple([] for _ in range(_REPEATING))
        for tag, token in tokens.items():
            kept = _KEPT.get(tag)
            if kept is None or not token[3]:
                continue
            attribute, key, places = kept
            element = self._element(attribute, token)
            if "Value" not in element:
                continue
            for place in places:
                levels[place][key] = element
                if place < _REPEATING:
                    keys[place].append(self._key(token))
        joined = tuple(map(b"".join, keys))
        return Values(self._charsets, levels, joined, tuple(self.warnings))

    def _key(self, token: Token) -> bytes:
        tag, vr, offset, length, _ = token
        return _KEY(tag, length, vr.encode()) + bytes(self._buffer[offset : offset + length])

    def _element(self, attribute: Attribute, token: Token) -> JsonElement:
        if attribute.vr == "SQ":
            return self._sequence(token, self._encoding, self._charsets, 1)
        if token[3] > MAX_VALUE_BYTES:
            self.warnings.append(f"{attribute.keyword} has {token[3]} bytes; it is not indexed")
            return {"vr": attribute.vr}
        return self._coerced(attribute.vr, token, self._charsets)

    def _coerced(self, vr: str, token: Token, charsets: Charsets) -> JsonElement:
        _, written, offset, length, _ = token
        data = bytes(self._buffer[offset : offset + min(MAX_VALUE_BYTES, length)])
        big_endian = self._encoding.big_endian
        if length > MAX_REMEMBERED_BYTES:
            return coerced(vr, written, data, charsets, big_endian, self.warnings)
        element, warnings = _remembered(vr, written, data, tuple(charsets), big_endian)
        self.warnings += warnings
        return element

    def _sequence(
        self, token: Token, encoding: Encoding, charsets: Charsets, depth: int
    ) -> JsonElement:
        if token[3] > MAX_SEQUENCE_BYTES or depth > MAX_DEPTH:
            self.warnings.append(f"sequence {token[0]:08X} has {token[3]} bytes; it is not indexed")
            return {"vr": "SQ"}
        if token[1] not in {"SQ", "UN"}:
            return {"vr": "SQ"}
        scanner = Scanner(self._buffer)
        encoding = scanner.children_encoding(token, encoding)
        items = []
        for start, end in scanner.items(token, encoding):
            tokens = {t[0]: t for t in scanner.elements(start, end, encoding)[0]}
            items.append(self._item(tokens, encoding, charsets, depth))
            if len(items) == MAX_ITEMS:
                break
        items = [item for item in items if item]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}

    def _item(
        self, tokens: dict[int, Token], encoding: Encoding, charsets: Charsets, depth: int
    ) -> dict[str, JsonElement]:
        charsets = self._own_charsets(tokens, charsets)
        result: dict[str, JsonElement] = {}
        for tag in sorted(SEQUENCE_MEMBERS.intersection(tokens)):
            vr, token = implicit_vr(tag), tokens[tag]
            element = (
                self._sequence(token, encoding, charsets, depth + 1)
                if vr == "SQ"
                else self._coerced(vr, token, charsets)
            )
            if "Value" in element:
                result[f"{tag:08X}"] = element
        return result

    def _own_charsets(self, tokens: dict[int, Token], inherited: Charsets) -> Charsets:
        token = tokens.get(CHARACTER_SET)
        if token is None:
            return inherited
        length = min(token[3], MAX_CHARSET_BYTES)
        return parse_charsets(bytes(self._buffer[token[2] : token[2] + length]), self.warnings)


def _kept() -> dict[int, tuple[Attribute, str, tuple[int, ...]]]:
    """Each attribute that is kept, its key, and at which levels (positions in LEVELS)."""
    kept: dict[int, tuple[Attribute, str, tuple[int, ...]]] = {}
    for place, level in enumerate(LEVELS):
        for attribute in BY_LEVEL[level]:
            _, _, places = kept.get(attribute.tag, (attribute, "", ()))
            kept[attribute.tag] = attribute, attribute.key, (*places, place)
    return kept


_KEPT = _kept()


def _convert(vr: str, element: JsonElement) -> JsonElement:
    """The values of a wrong VR in the right one, if they are such values."""
    values = element.get("Value")
    if not isinstance(values, list):
        return {"vr": vr}
    if vr in TEXT_VRS and vr not in {"PN", "IS"}:
        return {"vr": vr, "Value": [str(value) for value in values]}
    if vr in NUMBER_FORMATS or vr in {"IS", "DS"}:
        numbers = [_number(value) for value in values]
        return {"vr": vr, "Value": numbers} if None not in numbers else {"vr": vr}
    return {"vr": vr}


def _number(value: object) -> int | float | None:
    try:
        number = float(value) if isinstance(value, (str, int, float)) else None
    except ValueError:
        return None
    if number is None or number != number or abs(number) > 2**53:
        return None
    return int(number) if number.is_integer() else number


def _without_nul(element: JsonElement) -> JsonElement:
    """NUL inside text is neither text nor storable: it is dropped."""
    return {key: _stripped(value) if key == "Value" else value for key, value in element.items()}


def _stripped(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    if isinstance(value, dict):
        return {key: _stripped(item) for key, item in value.items()}
    return value
