"""Encoded datasets as DICOM JSON (PS3.18 F.2), and the bytes that a bulk data path means."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from vna.dicom.charset import DEFAULT, Charsets, parse_charsets
from vna.dicom.deflate import MAX_HEADER_BYTES, inflated_object
from vna.dicom.elements import PIXEL_TAGS, Scanner, Token
from vna.dicom.encoding import IMPLICIT_LITTLE, Buffer, Encoding
from vna.dicom.envelope import DEFLATED_UIDS, Syntax, dataset_start, find_syntax
from vna.dicom.json_values import swapped, value_json
from vna.dicom.vrs import BINARY_VRS, SEVERAL_VRS, implicit_vr, private_vr
from vna.errors import NotFound, Unsupported
from vna.model.query import JsonElement

JSON_VERSION = 3
"""Counts the changes of what this module writes for the same bytes: caches and entity tags hold it."""

MAX_DEPTH = 64
BULK_THRESHOLD = 1024
_MAX_GUESSED_UN = 0xFFFE
_CHARACTER_SET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00080005, 0x00280103, 0x00283002
_PIXEL_HEADER = 16
_SHORTEST_HEADER = 8


@dataclass(frozen=True, slots=True)
class ElementSpan:
    """Where a value lies in the object (a deflated one: inflated, see `inflated_object`), in bytes.

    `is_encapsulated`: the value is a run of items (an offset table and fragments), without the
    delimiter. `big_endian`: words have to be swapped before they are served (F.2.7).
    """

    offset: int
    length: int
    vr: str
    is_encapsulated: bool
    big_endian: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """What an item inherits: its path ("" or "54000100/0/"), depth, character sets, pixel
    representation.
    """

    path: str = ""
    depth: int = 0
    charsets: Charsets = DEFAULT
    is_signed: bool = False


def dataset_json(
    buffer: Buffer,
    *,
    dataset_offset: int,
    transfer_syntax_uid: str,
    stop: int | None = None,
    tail: int | None = None,
    bulk_uri: Callable[[str], str] | None = None,
) -> dict[str, JsonElement]:
    """The dataset from `dataset_offset` to `stop` (None: its end), ordered by tag. Never raises.

    Binary values longer than BULK_THRESHOLD bytes, and pixel data of any length, become a
    BulkDataURI made by `bulk_uri` from their path ("7FE00010", "54000100/0/54001010"); without
    `bulk_uri` everything is inline. When a pixel data element begins at `stop`, with 16 bytes of it
    or all it has in the buffer, it is listed too; so are the elements from `tail` (None: there is
    none) to the end of the buffer. Group lengths, groups 0000 and 0002, delimiters and padding are
    left out; sequences deeper than MAX_DEPTH have no value.
    """
    found = find_syntax(buffer, dataset_offset, transfer_syntax_uid)
    if _is_opaque(found):
        stop = tail = None
    limit = MAX_HEADER_BYTES if stop is None else stop - dataset_offset + _PIXEL_HEADER
    buffer, syntax = _plain(buffer, dataset_offset, found, limit)
    end = len(buffer) if stop is None else min(stop, len(buffer))
    writer = _Writer(Scanner(buffer), bulk_uri)
    start = dataset_start(buffer, dataset_offset)
    tokens, _ = writer.scanner.elements(start, end, syntax)
    pixel_end = len(buffer) if tail is None else min(tail, len(buffer))
    if stop is not None and stop + _SHORTEST_HEADER <= pixel_end and bulk_uri is not None:
        token = writer.scanner.element_at(stop, pixel_end, syntax)
        tokens += [token] if token[0] in PIXEL_TAGS else []
    if tail is not None:
        tokens += writer.scanner.elements(tail, len(buffer), syntax)[0]
    return writer.dataset(tokens, syntax, _Place())


def find_element(
    buffer: Buffer,
    *,
    dataset_offset: int,
    transfer_syntax_uid: str,
    path: str,
    stop: int | None = None,
    tail: int | None = None,
) -> ElementSpan:
    """Where the value lies that `path` means; `stop` and `tail` as in `dataset_json`.

    Raises NotFound for a path that leads nowhere, Unsupported where positions mean nothing.
    """
    found = find_syntax(buffer, dataset_offset, transfer_syntax_uid)
    if _is_opaque(found):
        uid = found.transfer_syntax_uid
        raise Unsupported(f"the dataset is deflated, which {uid} does not say: fetch the instance")
    buffer, encoding = _plain(buffer, dataset_offset, found, MAX_HEADER_BYTES)
    scanner = Scanner(buffer)
    end = len(buffer) if stop is None else min(stop, len(buffer))
    spans = [(dataset_start(buffer, dataset_offset), end)]
    if tail is not None:
        spans.append((tail, len(buffer)))
    steps = path.split("/")
    if len(steps) > 2 * MAX_DEPTH + 1 or len(steps) % 2 == 0:
        raise NotFound(f"no element {path[:80]!r}")
    for tag, number in zip(steps[::2], [*steps[1::2], ""], strict=True):
        token = _find(scanner, spans, encoding, tag)
        if number == "":
            vr = _span_vr(token, encoding)
            return ElementSpan(token[2], token[3], vr, token[4] and vr != "SQ", encoding.big_endian)
        encoding = scanner.children_encoding(token, encoding)
        spans = [_item(scanner, token, encoding, number)]
    raise NotFound(f"no element {path!r}")


def _is_opaque(syntax: Syntax) -> bool:
    """Deflated under a label of something else: the layout does not count in inflated bytes."""
    return syntax.deflated and syntax.transfer_syntax_uid not in DEFLATED_UIDS


def _plain(
    buffer: Buffer, dataset_offset: int, syntax: Syntax, limit: int
) -> tuple[Buffer, Encoding]:
    if syntax.deflated:
        return inflated_object(buffer, dataset_offset, limit), syntax.encoding
    return buffer, syntax.encoding


def _find(scanner: Scanner, spans: list[tuple[int, int]], encoding: Encoding, tag: str) -> Token:
    for position, end in reversed(spans):
        tokens, _ = scanner.elements(position, end, encoding)
        for token in reversed(tokens):
            if f"{token[0]:08X}" == tag.upper():
                return token
    raise NotFound(f"no element {tag[:16]!r}")


def _item(scanner: Scanner, token: Token, encoding: Encoding, number: str) -> tuple[int, int]:
    if number.isascii() and number.isdigit() and len(number) < 9:
        for index, span in enumerate(scanner.items(token, encoding)):
            if index == int(number):
                return span
    raise NotFound(f"no item {number[:16]!r} of {token[0]:08X}")


def _span_vr(token: Token, encoding: Encoding) -> str:
    tag, vr, _, _, undefined = token
    if tag in PIXEL_TAGS and undefined:
        return "OB"
    if encoding.implicit and SEVERAL_VRS.get(tag, "").endswith("OW"):
        return "OW"
    return vr


class _Writer:
    """Turns tokens into JSON elements."""

    __slots__ = ("bulk_uri", "scanner")

    def __init__(self, scanner: Scanner, bulk_uri: Callable[[str], str] | None) -> None:
        self.scanner, self.bulk_uri = scanner, bulk_uri

    def dataset(
        self, tokens: list[Token], encoding: Encoding, place: _Place
    ) -> dict[str, JsonElement]:
        by_tag = {token[0]: token for token in tokens}
        place = self._own_place(by_tag, encoding, place)
        buffer, big_endian = self.scanner.buffer, encoding.big_endian
        charsets = place.charsets
        result: dict[str, JsonElement] = {}
        for tag in sorted(by_tag):
            _, vr, offset, length, undefined = token = by_tag[tag]
            if not tag & 0xFFFF or tag < 0x00030000 or tag == 0xFFFCFFFC:
                continue
            if vr == "UN" or (encoding.implicit and tag in SEVERAL_VRS):
                vr = self._true_vr(token, by_tag, encoding, place)
            if vr == "SQ":
                result[f"{tag:08X}"] = self._sequence(token, encoding, place)
            elif vr in BINARY_VRS or undefined:
                result[f"{tag:08X}"] = self._binary(token, vr, place, big_endian=big_endian)
            else:
                data = bytes(buffer[offset : offset + length])
                result[f"{tag:08X}"] = value_json(vr, data, charsets, big_endian=big_endian)
        return result

    def _own_place(self, by_tag: dict[int, Token], encoding: Encoding, place: _Place) -> _Place:
        charset, signed = by_tag.get(_CHARACTER_SET), by_tag.get(_PIXEL_REPRESENTATION)
        if charset is None and signed is None:
            return place
        charsets, is_signed = place.charsets, place.is_signed
        if charset is not None:
            charsets = parse_charsets(self._bytes(charset))
        if signed is not None and signed[3] == 2:
            is_signed = any(self._bytes(signed))
        return _Place(place.path, place.depth, charsets, is_signed)

    def _true_vr(
        self, token: Token, by_tag: dict[int, Token], encoding: Encoding, place: _Place
    ) -> str:
        """The VR of an element whose encoding does not say it, or says UN, by the dictionaries and
        its neighbours.
        """
        tag, vr, _, _, undefined = token
        if vr == "UN":
            vr = self._known_vr(token, by_tag)
        several = SEVERAL_VRS.get(tag, "")
        if several == "US or SS":
            return "SS" if place.is_signed else "US"
        if several == "US or OW":
            descriptor = by_tag.get(_LUT_DESCRIPTOR)
            first = self._bytes(descriptor)[:2] if descriptor is not None else b""
            return "US" if first == (b"\0\1" if encoding.big_endian else b"\1\0") else "OW"
        if tag in PIXEL_TAGS and undefined:
            return "OB"
        if several.endswith("OW") or (tag >> 24 in {0x50, 0x60} and vr == "OB"):
            return "OW"
        return vr

    def _known_vr(self, token: Token, by_tag: dict[int, Token]) -> str:
        tag, vr, _, length, undefined = token
        if undefined:
            return "SQ"
        if tag & 0x10000:
            return self._private_vr(tag, by_tag)
        return implicit_vr(tag) if length <= _MAX_GUESSED_UN else vr

    def _private_vr(self, tag: int, by_tag: dict[int, Token]) -> str:
        number = tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            return "LO"
        creator = by_tag.get(tag & 0xFFFF0000 | number >> 8)
        if creator is None or number < 0x1000:
            return "UN"
        name = self._bytes(creator)[:64].decode("latin-1").strip("\0 ")
        return private_vr(tag, name)

    def _sequence(self, token: Token, encoding: Encoding, place: _Place) -> JsonElement:
        if place.depth >= MAX_DEPTH:
            return {"vr": "SQ"}
        encoding = self.scanner.children_encoding(token, encoding)
        if token[1] == "UN" and not token[4] and encoding.big_endian:
            encoding = IMPLICIT_LITTLE
        path = f"{place.path}{token[0]:08X}/"
        items = []
        for number, (start, end) in enumerate(self.scanner.items(token, encoding)):
            inner = _Place(f"{path}{number}/", place.depth + 1, place.charsets, place.is_signed)
            tokens, _ = self.scanner.elements(start, end, encoding)
            items.append(self.dataset(tokens, encoding, inner))
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}

    def _binary(self, token: Token, vr: str, place: _Place, *, big_endian: bool) -> JsonElement:
        tag, _, _, length, undefined = token
        if undefined and vr not in BINARY_VRS:
            vr = "UN"
        if not length and not undefined:
            return {"vr": vr}
        is_bulk = length > BULK_THRESHOLD or tag in PIXEL_TAGS or undefined
        if self.bulk_uri is not None and is_bulk:
            return {"vr": vr, "BulkDataURI": self.bulk_uri(f"{place.path}{tag:08X}")}
        data = self._bytes(token)
        if big_endian:
            data = swapped(vr, data)
        return {"vr": vr, "InlineBinary": b64encode(data).decode("ascii")}

    def _bytes(self, token: Token) -> bytes:
        _, _, offset, length, _ = token
        return bytes(self.scanner.buffer[offset : offset + length])
