"""Attributes in the DICOM JSON model written as a dataset that lacks nothing of them (PS3.5 7, PS3.18 F.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vna.dicom.charset import UNICODE, encode, parse_charsets, usable_charsets
from vna.dicom.coded_sets import STAND_ALONE, number_of
from vna.dicom.element_writer import Chunk, ElementWriter, length_of
from vna.dicom.encode_values import NUL_PADDED_VRS
from vna.dicom.encoding import EXPLICIT_LITTLE, UNDEFINED_LENGTH
from vna.dicom.exact_values import binary_value, number_values, text_value
from vna.dicom.json import MAX_DEPTH
from vna.dicom.vrs import BINARY_VRS, CODES, NUMBER_FORMATS, SHORT_VRS, TEXT_VRS, implicit_vr
from vna.errors import InvalidInstance
from vna.model.query import JsonElement

Buffer = bytes | memoryview
_CHARSET, _PADDING = 0x00080005, 0xFFFCFFFC
_ITEM, _FIRST_GROUP, _LAST_GROUP = 0xFFFEE000, 0x0003, 0xFFFD
_KEY = re.compile(r"[0-9A-Fa-f]{8}")
_KINDS = frozenset({"Value", "BulkDataURI", "InlineBinary"})
_SHORT_LIMIT, _LONG_LIMIT = 0xFFFE, UNDEFINED_LENGTH - 1
_MAX_TEXT = 2**24
_MAX_CODED = 4096
"""Characters of one text that are tried in sets with escape sequences; longer ones become UTF-8."""


@dataclass(frozen=True, slots=True)
class BulkValue:
    """The value that a BulkDataURI stands for; `is_encapsulated`: items with their delimiter (PS3.5 A.4)."""

    chunks: Sequence[Buffer]
    is_encapsulated: bool = False


BulkData = Callable[[str], BulkValue]
"""Gives the value of a BulkDataURI. Raises InvalidInstance where there is none."""


class _DoesNotFit(Exception):
    """A character set lacks a character of the text."""


def dataset_chunks(attributes: Mapping[str, JsonElement], bulk: BulkData) -> list[Chunk]:
    """`attributes` as a dataset in Explicit VR Little Endian, in pieces that share the bulk data.

    Text is written in the character sets that the attributes name, item by item, where those carry every
    character; else all of it in ISO_IR 192. Groups 0002 and below, group lengths and trailing padding are left out:
    they describe an encoding. Whatever a VR can't hold raises InvalidInstance, and so does what the model does not
    know: nothing is left out or bent in silence, but a decimal number, which is rounded to 16 characters.
    """
    try:
        return _Builder(bulk, unicode=False).dataset(attributes, _Place())
    except _DoesNotFit:
        return _Builder(bulk, unicode=True).dataset(attributes, _Place())


def chunks_in(
    attributes: Mapping[str, JsonElement], charsets: tuple[str, ...]
) -> list[Chunk] | None:
    """As `dataset_chunks`, without bulk data and in these character sets alone; None where a text does not fit them.

    `charsets` is a label that `usable_charsets` gave; in () only ASCII fits. Raises InvalidInstance.
    """
    try:
        return _Builder(_no_bulk, unicode=False).dataset(attributes, _Place(charsets=charsets))
    except _DoesNotFit:
        return None


def _no_bulk(uri: str) -> BulkValue:
    raise InvalidInstance(f"there is no bulk data {uri[:80]!r} here")


@dataclass(frozen=True, slots=True)
class _Place:
    """What an item inherits: the path for messages, the depth, the character sets."""

    path: str = ""
    depth: int = 0
    charsets: tuple[str, ...] = ("",)


class _Builder:
    """`unicode`: the second attempt, in which all text is UTF-8."""

    def __init__(self, bulk: BulkData, *, unicode: bool) -> None:
        self._bulk, self._unicode = bulk, unicode
        self._writer = ElementWriter(EXPLICIT_LITTLE)

    def dataset(self, attributes: Mapping[str, JsonElement], place: _Place) -> list[Chunk]:
        tagged = _by_tag(attributes, place.path)
        charsets = self._charsets(tagged, place)
        if self._unicode:
            if place.depth:
                tagged.pop(_CHARSET, None)
            else:
                tagged[_CHARSET] = {"vr": "CS", "Value": [UNICODE]}
        place = _Place(place.path, place.depth, charsets)
        chunks: list[Chunk] = []
        for tag in sorted(tagged):
            chunks += self._element(tag, tagged[tag], place)
        return chunks

    def _charsets(self, tagged: Mapping[int, JsonElement], place: _Place) -> tuple[str, ...]:
        """The label in force here; an unusable one is (), in which only ASCII fits."""
        if self._unicode:
            return (UNICODE,)
        element = tagged.get(_CHARSET)
        if element is None:
            return place.charsets
        label = text_value("CS", _values(element, "00080005")).encode("ascii", "replace")
        terms = parse_charsets(label)
        usable = usable_charsets(terms)
        return usable if usable == terms else ()

    def _element(self, tag: int, element: JsonElement, place: _Place) -> list[Chunk]:
        name = f"{place.path}{tag:08X}"
        vr = _vr(tag, element, name)
        uri = element.get("BulkDataURI")
        if uri is not None:
            return self._bulk_element(tag, vr, self._bulk_value(vr, uri, name), place)
        if "InlineBinary" in element:
            if vr not in BINARY_VRS:
                raise InvalidInstance(
                    f"the metadata has InlineBinary in {name}, which is of VR {vr}"
                )
            return self._written(tag, vr, [binary_value(element["InlineBinary"], name)], name)
        values = _values(element, name)
        if vr == "SQ":
            return self._written(tag, vr, self._items(values, name, place), name)
        return self._written(tag, vr, [self._value(vr, values, name, place)], name)

    def _value(self, vr: str, values: Sequence[object], name: str, place: _Place) -> bytes:
        if not values:
            return b""
        if vr in TEXT_VRS:
            return self._text(text_value(vr, values, name), vr, place.charsets)
        if vr in NUMBER_FORMATS or vr == "AT":
            return number_values(vr, values, name)
        raise InvalidInstance(f"the metadata has a Value in {name}: {vr} takes InlineBinary")

    def _text(self, text: str, vr: str, charsets: tuple[str, ...]) -> bytes:
        """`text` as `vna.dicom.charset.decode` reads it in these sets. Raises _DoesNotFit."""
        if text.isascii() and not (_has_overline(charsets) and ("~" in text or "\\" in text)):
            return text.encode("ascii")
        data: bytes | None = None
        if charsets and charsets[0] in STAND_ALONE:
            data = _encoded(text, STAND_ALONE[charsets[0]])
        elif charsets and len(text) <= _MAX_CODED:
            data = encode(text, charsets, vr)
        if data is None and self._unicode:
            raise InvalidInstance("the metadata has text that is no Unicode: a lone surrogate")
        if data is None:
            raise _DoesNotFit
        return data

    def _items(self, values: Sequence[object], name: str, place: _Place) -> list[Chunk]:
        if place.depth >= MAX_DEPTH:
            raise InvalidInstance(f"the metadata nests items more than {MAX_DEPTH} deep")
        chunks: list[Chunk] = []
        for number, item in enumerate(values):
            if item is not None and not isinstance(item, Mapping):
                raise InvalidInstance(f"the metadata has an item of {name} that is no object")
            inner = _Place(f"{name}/{number}/", place.depth + 1, place.charsets)
            body = self.dataset(item or {}, inner)
            length = length_of(body)
            if length > _LONG_LIMIT:
                raise InvalidInstance(f"an item of {name} would be longer than 4 GiB")
            chunks += [self._writer.head(_ITEM, "", length), *body]
        return chunks

    def _bulk_value(self, vr: str, uri: object, name: str) -> BulkValue:
        if vr == "SQ" or not isinstance(uri, str):
            raise InvalidInstance(
                f"the metadata has a BulkDataURI in {name} that stands for nothing"
            )
        return self._bulk(uri)

    def _bulk_element(self, tag: int, vr: str, value: BulkValue, place: _Place) -> list[Chunk]:
        name = f"{place.path}{tag:08X}"
        if value.is_encapsulated:
            return [self._writer.head(tag, "OB", UNDEFINED_LENGTH), *value.chunks]
        if vr in TEXT_VRS:
            text = _bulk_text(value, name)
            return self._written(tag, vr, [self._text(text, vr, place.charsets)], name)
        return self._written(tag, vr, value.chunks, name)

    def _written(self, tag: int, vr: str, value: Iterable[Chunk], name: str) -> list[Chunk]:
        """An element with its header, padded; what its short length can't say is UN (PS3.5 6.2.2)."""
        chunks = [chunk for chunk in value if not isinstance(chunk, bytes) or chunk]
        length = length_of(chunks)
        if length & 1:
            chunks.append(b"\0" if vr in NUL_PADDED_VRS or vr in NUMBER_FORMATS else b" ")
        if length > _SHORT_LIMIT and vr in SHORT_VRS:
            vr = "UN"
        if length > _LONG_LIMIT - 1:
            raise InvalidInstance(f"the value of {name} would be longer than 4 GiB")
        return [self._writer.head(tag, vr, length + (length & 1)), *chunks]


def _by_tag(attributes: Mapping[str, JsonElement], path: str) -> dict[int, JsonElement]:
    tagged: dict[int, JsonElement] = {}
    for key, element in attributes.items():
        if not isinstance(key, str) or _KEY.fullmatch(key) is None:
            raise InvalidInstance(f"the metadata has a member {path}{str(key)[:32]!r}: no tag")
        tag = int(key, 16)
        if tag in tagged:
            raise InvalidInstance(f"the metadata has {path}{tag:08X} twice")
        if not isinstance(element, Mapping) or len(_KINDS & set(element)) > 1:
            raise InvalidInstance(
                f"the metadata has {path}{tag:08X} that is no element, or has several values"
            )
        if not _FIRST_GROUP <= tag >> 16 <= _LAST_GROUP and tag != _PADDING and tag >> 16 != 2:
            raise InvalidInstance(f"the metadata has {path}{tag:08X}, which no dataset holds")
        if tag & 0xFFFF and tag != _PADDING and tag >> 16 != 2:
            tagged[tag] = dict(element)
    return tagged


def _vr(tag: int, element: JsonElement, name: str) -> str:
    vr = element.get("vr") or implicit_vr(tag)
    if not isinstance(vr, str) or vr.encode("ascii", "replace") not in CODES:
        raise InvalidInstance(f"the metadata has {name} with VR {str(vr)[:16]!r}, which is none")
    return vr


def _values(element: JsonElement, name: str) -> Sequence[object]:
    values = element.get("Value")
    if values is None:
        return ()
    if not isinstance(values, (list, tuple)):
        raise InvalidInstance(f"the metadata has {name} with a Value that is no array")
    return values


def _bulk_text(value: BulkValue, name: str) -> str:
    """Bulk data of a text VR, which is UTF-8 as all of the metadata."""
    if length_of(value.chunks) > _MAX_TEXT:
        raise InvalidInstance(f"the text of {name} is longer than {_MAX_TEXT} bytes")
    try:
        return b"".join(value.chunks).decode("utf-8").rstrip("\0")
    except UnicodeDecodeError as exc:
        raise InvalidInstance(f"the bulk data of {name} is no text in UTF-8") from exc


def _encoded(text: str, codec: str) -> bytes | None:
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return None


def _has_overline(charsets: tuple[str, ...]) -> bool:
    """ISO_IR 13 has other characters in the places of two ASCII ones."""
    return bool(charsets) and number_of(charsets[0]) == "13"
