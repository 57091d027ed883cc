"""Attributes in the DICOM JSON model, written as a dataset (PS3.5 7.1, PS3.18 F.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from vna.dicom.encode_values import NUL_PADDED_VRS, encode_value
from vna.dicom.vrs import BINARY_VRS, CHARSET_VRS, LONG_VRS, SHORT_VRS
from vna.errors import Unsupported
from vna.model.query import JsonElement

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

# Defined terms of PS3.3 C.12.1.1.2 that carry one set of 8-bit characters, with Python's name of
# it.
_SINGLE_BYTE = {
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 166": "iso8859_11",
    "ISO_IR 203": "iso8859_15",
}
_CODECS = {"": "ascii", "ISO_IR 6": "ascii", "ISO_IR 192": "utf_8", **_SINGLE_BYTE}
_CHARSET_KEY = "00080005"
_ALL_VRS = LONG_VRS | SHORT_VRS
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_SHORT_LIMIT = 0xFFFE
_Header = tuple[bytes, bytes, bool]


def encode_dataset(
    attributes: Mapping[str, JsonElement],
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
    charset: str = "",
) -> bytes:
    """`attributes`, keyed by eight upper-case hex digits, as the bytes of a dataset in tag order.

    `charset` is a defined term as `choose_charset` gives it; it replaces (0008,0005) of
    `attributes`, which is left out when it is empty. Characters that it can't carry become '?'. A
    value that its VR can't hold is written with length zero, so one odd instance spoils no answer;
    BulkDataURI likewise. Groups 0000 and 0002 are left out. Raises Unsupported for a transfer
    syntax that is not one of the three uncompressed ones.
    """
    if transfer_syntax_uid not in _WRITERS:
        raise Unsupported(f"No dataset can be written in transfer syntax {transfer_syntax_uid}")
    writer = _WRITERS[transfer_syntax_uid]
    labelled = {key: element for key, element in attributes.items() if key != _CHARSET_KEY}
    if charset:
        labelled[_CHARSET_KEY] = {"vr": "CS", "Value": [charset]}
    return writer.dataset(labelled, _CODECS.get(charset, "utf_8"))


def choose_charset(attributes: Mapping[str, JsonElement], preferred: str = "") -> str:
    """The Specific Character Set of an answer: the smallest that carries its text.

    Empty for plain ASCII; else the data's own (0008,0005) or the `preferred` one (of the request)
    when it is a single 8-bit set and holds everything; else ISO_IR 100; else ISO_IR 192 (UTF-8).
    """
    text = "".join(_texts(attributes))
    if text.isascii():
        return ""
    own = attributes.get(_CHARSET_KEY, {}).get("Value")
    terms = own if isinstance(own, list) and len(own) == 1 else []
    for term in (*terms, preferred, "ISO_IR 100"):
        codec = _SINGLE_BYTE.get(_plain_term(str(term)))
        if codec is not None and _carries(codec, text):
            return _plain_term(str(term))
    return "ISO_IR 192"


def _plain_term(term: str) -> str:
    """The term without code extensions: "ISO 2022 IR 100" alone means the same set as ISO_IR
    100."""
    return term.strip().replace("ISO 2022 IR ", "ISO_IR ")


def _carries(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _texts(attributes: Mapping[str, JsonElement]) -> list[str]:
    """Every text of a VR that Specific Character Set concerns, those in items included."""
    found: list[str] = []
    waiting = [attributes]
    while waiting:
        for element in waiting.pop().values():
            values = element.get("Value")
            if not isinstance(values, list):
                continue
            if element.get("vr") == "SQ":
                waiting.extend(item for item in values if isinstance(item, dict))
            elif element.get("vr") in CHARSET_VRS:
                found.extend(map(_text, values))
    return found


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "=".join([str(value.get(group, "")) for group in _NAME_GROUPS]).rstrip("=")
    return "" if value is None else str(value)


class _Writer:
    """Writes elements in one of the uncompressed transfer syntaxes."""

    def __init__(self, *, is_implicit: bool, is_big_endian: bool) -> None:
        self._is_implicit = is_implicit
        self._is_big_endian = is_big_endian
        self._item = self._tag("FFFEE000")
        self._header = lru_cache(maxsize=4096)(self._make_header)

    def dataset(self, attributes: Mapping[str, JsonElement], codec: str) -> bytes:
        parts: list[bytes] = []
        for key in sorted(attributes):
            if key < "0003":
                continue
            element = attributes[key]
            vr = element.get("vr")
            if not isinstance(vr, str) or vr not in _ALL_VRS:
                vr = "UN"
            value = self._value(vr, element, codec)
            if len(value) & 1:
                value += b"\0" if vr in NUL_PADDED_VRS else b" "
            self._append(parts, key, vr, value)
        return b"".join(parts)

    def _append(self, parts: list[bytes], key: str, vr: str, value: bytes) -> None:
        head, filler, is_long = self._header(key, vr)
        size = len(value)
        if (
            not is_long and size > _SHORT_LIMIT
        ):  # PS3.5 6.2.2: what a short VR can't hold is written as UN
            head, filler, is_long = self._header(key, "UN")
        length = size.to_bytes(4 if is_long else 2, "big" if self._is_big_endian else "little")
        parts += (head, filler, length, value)

    def _make_header(self, key: str, vr: str) -> _Header:
        """(tag and VR, reserved bytes, whether the length has 32 bits)."""
        tag = self._tag(key)
        if self._is_implicit:
            return tag, b"", True
        if vr in LONG_VRS:
            return tag + vr.encode("ascii"), b"\0\0", True
        return tag + vr.encode("ascii"), b"", False

    def _tag(self, key: str) -> bytes:
        number = bytes.fromhex(key)
        return number if self._is_big_endian else number[1::-1] + number[:1:-1]

    def _value(self, vr: str, element: JsonElement, codec: str) -> bytes:
        if vr in BINARY_VRS:
            return encode_value(vr, [element.get("InlineBinary", "")], self._is_big_endian)
        values = element.get("Value")
        if not isinstance(values, list) or not values:
            return b""
        if vr == "SQ":
            return self._items(values, codec)
        if vr in CHARSET_VRS:
            text = _text(values[0]) if len(values) == 1 else "\\".join(map(_text, values))
            return text.encode(codec, "replace")
        return encode_value(vr, values, self._is_big_endian)

    def _items(self, items: Sequence[object], codec: str) -> bytes:
        parts: list[bytes] = []
        for item in items:
            members = item if isinstance(item, dict) else {}
            body = self.dataset({k: v for k, v in members.items() if k != _CHARSET_KEY}, codec)
            length = len(body).to_bytes(4, "big" if self._is_big_endian else "little")
            parts += (self._item, length, body)
        return b"".join(parts)


_WRITERS = {
    IMPLICIT_VR_LITTLE_ENDIAN: _Writer(is_implicit=True, is_big_endian=False),
    EXPLICIT_VR_LITTLE_ENDIAN: _Writer(is_implicit=False, is_big_endian=False),
    EXPLICIT_VR_BIG_ENDIAN: _Writer(is_implicit=False, is_big_endian=True),
}
