"""The attributes that the index keeps, read out of the elements of one object, per level."""

from __future__ import annotations

from vna.dicom.attributes import BY_LEVEL, SEQUENCE_MEMBERS, Attribute
from vna.dicom.charset import DEFAULT, Charsets, parse_charsets
from vna.dicom.elements import Scanner, Token
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.identity import Identity
from vna.dicom.json_values import value_json
from vna.dicom.vrs import NUMBER_FORMATS, TEXT_VRS, implicit_vr
from vna.model.identifiers import Level
from vna.model.instances import LevelAttributes
from vna.model.query import JsonElement

MAX_VALUE_BYTES = 4096
MAX_SEQUENCE_BYTES = 16 * 2**10
MAX_ITEMS = 16
MAX_DEPTH = 3
MAX_FRAMES = 2**31 - 1
_CHARACTER_SET, _NUMBER_OF_FRAMES = 0x00080005, 0x00280008
_ISSUER = "00100021"


class AttributeReader:
    """Reads values of one dataset as they are asked for; `warnings` collects what is odd."""

    __slots__ = ("_buffer", "_charsets", "_encoding", "_tokens", "warnings")

    def __init__(self, buffer: Buffer, tokens: dict[int, Token], encoding: Encoding) -> None:
        self._buffer, self._tokens, self._encoding = buffer, tokens, encoding
        self.warnings: list[str] = []
        self._charsets = self._own_charsets(tokens, DEFAULT)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def has(self, tag: int) -> bool:
        return tag in self._tokens

    def add(self, tokens: dict[int, Token]) -> None:
        """Further elements; those that are known already stay."""
        self._tokens = tokens | self._tokens
        self._charsets = self._own_charsets(self._tokens, DEFAULT)

    def data(self, tag: int, limit: int = MAX_VALUE_BYTES) -> bytes:
        """The encoded value, `limit` bytes of it at most; empty when there is none."""
        token = self._tokens.get(tag)
        if token is None:
            return b""
        offset = token[2]
        return bytes(self._buffer[offset : offset + min(token[3], limit)])

    def text(self, tag: int) -> str:
        """A UID or code as it stands, without padding, and without what follows a NUL inside."""
        return self.data(tag).decode("latin-1").split("\0", 1)[0].strip()

    def number(self, tag: int) -> int:
        """A positive number of any VR, 0 for everything else."""
        token = self._tokens.get(tag)
        if token is None:
            return 0
        element = self._coerced(tag, "US", token, DEFAULT)
        values = element.get("Value")
        value = values[0] if isinstance(values, list) and values else 0
        return value if isinstance(value, int) and value > 0 else 0

    def number_of_frames(self) -> int:
        """Number of Frames (0028,0008); 1 when it is absent, 0 with a warning when it is not a
        positive number.
        """
        if not self.has(_NUMBER_OF_FRAMES):
            return 1
        number = self.number(_NUMBER_OF_FRAMES)
        if 0 < number <= MAX_FRAMES:
            return number
        self.warn(
            f"Number of Frames {self.text(_NUMBER_OF_FRAMES)[:16]!r} is not a positive number"
        )
        return 0

    def levels(self, identity: Identity, issuer_of_patient_id: str) -> LevelAttributes:
        """The attributes of all levels; the UIDs are those under which the instance is kept."""
        uids = identity.uids
        study = {"0020000D": uids.study_instance_uid}
        series = {"0020000E": uids.series_instance_uid}
        image = {"00080016": identity.sop_class_uid, "00080018": uids.sop_instance_uid}
        levels = LevelAttributes(
            self._level(Level.PATIENT),
            self._level(Level.STUDY) | _uids(study),
            self._level(Level.SERIES) | _uids(series),
            self._level(Level.IMAGE) | _uids(image),
        )
        if issuer_of_patient_id and "Value" not in levels.patient.get(_ISSUER, {}):
            levels.patient[_ISSUER] = {"vr": "LO", "Value": [issuer_of_patient_id]}
        return levels

    def _level(self, level: Level) -> dict[str, JsonElement]:
        tokens = self._tokens
        result: dict[str, JsonElement] = {}
        for attribute, key in _KEYS[level]:
            token = tokens.get(attribute.tag)
            if token is not None and token[3]:
                element = self._element(attribute, token)
                if "Value" in element:
                    result[key] = element
        return result

    def _element(self, attribute: Attribute, token: Token) -> JsonElement:
        if attribute.vr == "SQ":
            return self._sequence(token, self._encoding, self._charsets, 1)
        if token[3] > MAX_VALUE_BYTES:
            self.warn(f"{attribute.keyword} has {token[3]} bytes; it is not indexed")
            return {"vr": attribute.vr}
        return self._coerced(attribute.tag, attribute.vr, token, self._charsets)

    def _coerced(self, tag: int, vr: str, token: Token, charsets: Charsets) -> JsonElement:
        """The value with the VR of the standard, whatever VR it is written with."""
        _, written, offset, length, _ = token
        length = min(MAX_VALUE_BYTES, length)
        data = bytes(self._buffer[offset : offset + length])
        big_endian = self._encoding.big_endian
        if written == vr or (written not in TEXT_VRS and written not in NUMBER_FORMATS):
            element = value_json(vr, data, charsets, big_endian=big_endian, warnings=self.warnings)
        elif vr in TEXT_VRS and written in TEXT_VRS:
            element = value_json(vr, data, charsets, warnings=self.warnings)
        else:
            element = value_json(written, data, charsets, big_endian=big_endian)
            element = _convert(vr, element)
        if b"\0" in data:
            return _without_nul(element)
        return element

    def _sequence(
        self, token: Token, encoding: Encoding, charsets: Charsets, depth: int
    ) -> JsonElement:
        if token[3] > MAX_SEQUENCE_BYTES or depth > MAX_DEPTH:
            self.warn(f"sequence {token[0]:08X} has {token[3]} bytes; it is not indexed")
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
                else self._coerced(tag, vr, token, charsets)
            )
            if "Value" in element:
                result[f"{tag:08X}"] = element
        return result

    def _own_charsets(self, tokens: dict[int, Token], inherited: Charsets) -> Charsets:
        token = tokens.get(_CHARACTER_SET)
        if token is None:
            return inherited
        value = bytes(self._buffer[token[2] : token[2] + min(token[3], 512)])
        return parse_charsets(value, self.warnings)


_KEYS: dict[Level, tuple[tuple[Attribute, str], ...]] = {
    level: tuple((attribute, attribute.key) for attribute in table)
    for level, table in BY_LEVEL.items()
}


def _uids(values: dict[str, str]) -> dict[str, JsonElement]:
    return {key: {"vr": "UI", "Value": [uid]} for key, uid in values.items() if uid}


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
