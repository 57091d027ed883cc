"""Attributes in the DICOM JSON model, written as a dataset (PS3.5 7.1, PS3.18 F.2)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from vna.dicom.charset import UNICODE, encode, parse_charsets, usable_charsets
from vna.dicom.coded_sets import number_of
from vna.dicom.encode_values import NUL_PADDED_VRS, encode_value, plain_text
from vna.dicom.vrs import BINARY_VRS, LONG_VRS, SHORT_VRS, TEXT_VRS
from vna.errors import Unsupported
from vna.model.query import JsonElement

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"

_CHARSET_KEY = "00080005"
_ALL_VRS = LONG_VRS | SHORT_VRS
_SHORT_LIMIT = 0xFFFE
_MAX_LABEL = 512
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
Charsets = tuple[str, ...]


def encode_dataset(
    attributes: Mapping[str, JsonElement],
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
    requested: str = "",
    written: Mapping[str, bytes] = _NOTHING,
) -> bytes:
    """`attributes`, keyed by eight upper-case hex digits, as the bytes of a dataset in tag order.

    Specific Character Set: none where all text is ASCII; else the data's own, which is (0008,0005)
    of `attributes`, when that carries every character; for data without a usable one that of the
    request (`requested`, as it stands there), then ISO_IR 100, in the same way; else ISO_IR 192. So
    no character is lost. Text of VRs that it does not concern (CS, DA, UI …) is ASCII unless the
    data broke that rule; then it is written as it was.

    `written`: runs of elements that this function wrote before, by the key of each run's first
    element; they are put in as they are, so no element of `attributes` may belong inside a run.

    A value that its VR can't hold is written with length zero, so one odd instance spoils no
    answer; BulkDataURI likewise. Groups 0000 and 0002 are left out. Raises Unsupported for a
    transfer syntax that is not one of the three uncompressed ones.
    """
    if transfer_syntax_uid not in _WRITERS:
        raise Unsupported(f"No dataset can be written in transfer syntax {transfer_syntax_uid}")
    writer = _WRITERS[transfer_syntax_uid]
    for charsets in _labels(_own_label(attributes), requested[:_MAX_LABEL]):
        try:
            return writer.labelled(attributes, written, _TextWriter(charsets))
        except _DoesNotFit:
            continue
    return writer.labelled(attributes, written, _TextWriter((UNICODE,), is_last=True))


def _own_label(attributes: Mapping[str, JsonElement]) -> str:
    values = attributes.get(_CHARSET_KEY, {}).get("Value")
    if not isinstance(values, list):
        return ""
    return "\\".join("" if value is None else str(value) for value in values)[:_MAX_LABEL]


@lru_cache(maxsize=256)
def _labels(own: str, requested: str) -> tuple[Charsets, ...]:
    """The character sets to try, one after the other."""
    found = _usable(own)
    if found:
        return (found,)
    return tuple(filter(None, (_usable(requested), ("ISO_IR 100",))))


def _usable(label: str) -> Charsets:
    return usable_charsets(parse_charsets(label.encode("ascii", "replace")))


class _DoesNotFit(Exception):
    """The character set lacks a character of the text."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands in front of a value: `data` without the length, which has 32 bits if `is_long`."""

    vr: str
    data: bytes
    padding: bytes
    is_long: bool
    is_text: bool


class _TextWriter:
    """Writes text in one label, and remembers whether that was needed.

    `takes_ascii`: ASCII is written as it is, whatever the text.
    """

    __slots__ = ("_is_last", "charsets", "is_needed", "takes_ascii")

    def __init__(self, charsets: Charsets, *, is_last: bool = False) -> None:
        self.charsets, self.is_needed = charsets, False
        self._is_last = is_last
        self.takes_ascii = number_of(charsets[0]) != "13"

    def bytes_of(self, text: str, vr: str) -> bytes:
        """`text` of an element of `vr`. Raises _DoesNotFit; the last resort never does."""
        if text.isascii() and (self.takes_ascii or not ("~" in text or "\\" in text)):
            return text.encode("ascii")
        self.is_needed = True
        data = encode(text, self.charsets, vr)
        if data is not None:
            return data
        if not self._is_last:
            raise _DoesNotFit
        return text.encode("utf-8", "replace")  # a lone surrogate is no character


def _plain_value(element: JsonElement, vr: str) -> bytes | None:
    """The one ASCII value of a text element, or none, as nearly all have; None: it takes more."""
    values = element.get("Value")
    if not values:
        return b""
    if not isinstance(values, list) or len(values) > 1:
        return None
    only = values[0]
    if type(only) is dict and vr == "PN" and len(only) == 1:
        only = only.get("Alphabetic")
    if type(only) is str and only.isascii() and only[-1:] != "=":
        return only.encode()
    return b"%d" % only if type(only) is int and vr == "IS" else None


class _Writer:
    """Writes elements in one of the uncompressed transfer syntaxes."""

    def __init__(self, *, is_implicit: bool, is_big_endian: bool) -> None:
        self._is_implicit = is_implicit
        self._is_big_endian = is_big_endian
        self._order: Literal["big", "little"] = "big" if is_big_endian else "little"
        self._item = self._tag("FFFEE000")
        self._head = lru_cache(maxsize=4096)(self._make_head)

    def labelled(
        self,
        attributes: Mapping[str, JsonElement],
        written: Mapping[str, bytes],
        text: _TextWriter,
    ) -> bytes:
        """The whole dataset, with (0008,0005) when text needs it. Raises _DoesNotFit."""
        keys = sorted([*attributes, *written])
        place = bisect_left(keys, _CHARSET_KEY)
        behind = bisect_right(keys, _CHARSET_KEY)
        before = self._written(keys[:place], attributes, text, written)
        parts = self._written(keys[behind:], attributes, text, written)
        if text.is_needed:
            label: JsonElement = {"vr": "CS", "Value": list(text.charsets)}
            before += self._written([_CHARSET_KEY], {_CHARSET_KEY: label}, text)
        return b"".join(before + parts)

    def _written(
        self,
        keys: Iterable[str],
        attributes: Mapping[str, JsonElement],
        text: _TextWriter,
        written: Mapping[str, bytes] = _NOTHING,
    ) -> list[bytes]:
        parts: list[bytes] = []
        head_of, order = self._head, self._order
        for key in keys:
            if key < "0003":
                continue
            element = attributes.get(key)
            if element is None:
                parts.append(written[key])
                continue
            vr = element.get("vr")
            head = head_of(key, vr if isinstance(vr, str) else "UN")
            value = _plain_value(element, head.vr) if head.is_text and text.takes_ascii else None
            if value is None:
                value = self._value(head.vr, element, text)
            size = len(value)
            if size & 1:
                value += head.padding
                size += 1
            if size > _SHORT_LIMIT and not head.is_long:
                head = head_of(key, "UN")  # PS3.5 6.2.2: what a short VR can't hold
            parts += (head.data, size.to_bytes(4 if head.is_long else 2, order), value)
        return parts

    def _make_head(self, key: str, vr: str) -> _Head:
        if vr not in _ALL_VRS:
            vr = "UN"
        data, is_long = self._tag(key), self._is_implicit or vr in LONG_VRS
        if not self._is_implicit:
            data += vr.encode("ascii") + (b"\0\0" if is_long else b"")
        padding = b"\0" if vr in NUL_PADDED_VRS else b" "
        return _Head(vr, data, padding, is_long=is_long, is_text=vr in TEXT_VRS)

    def _tag(self, key: str) -> bytes:
        number = bytes.fromhex(key)
        return number if self._is_big_endian else number[1::-1] + number[:1:-1]

    def _value(self, vr: str, element: JsonElement, text: _TextWriter) -> bytes:
        if vr in BINARY_VRS:
            return encode_value(vr, [element.get("InlineBinary", "")], self._is_big_endian)
        values = element.get("Value")
        if not isinstance(values, list) or not values:
            return b""
        if vr == "SQ":
            return self._items(values, text)
        if vr in TEXT_VRS:
            joined = plain_text(vr, values)
            return text.bytes_of(joined, vr) if joined else b""
        return encode_value(vr, values, self._is_big_endian)

    def _items(self, items: Sequence[object], text: _TextWriter) -> bytes:
        parts: list[bytes] = []
        for item in items:
            members = item if isinstance(item, dict) else {}
            keys = sorted(key for key in members if key != _CHARSET_KEY)
            body = b"".join(self._written(keys, members, text))
            length = len(body).to_bytes(4, self._order)
            parts += (self._item, length, body)
        return b"".join(parts)


_WRITERS = {
    IMPLICIT_VR_LITTLE_ENDIAN: _Writer(is_implicit=True, is_big_endian=False),
    EXPLICIT_VR_LITTLE_ENDIAN: _Writer(is_implicit=False, is_big_endian=False),
    EXPLICIT_VR_BIG_ENDIAN: _Writer(is_implicit=False, is_big_endian=True),
}
