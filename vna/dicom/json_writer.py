"""Elements of an encoded dataset as elements of the DICOM JSON model (PS3.18 F.2)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from vna.dicom.charset import DEFAULT, Charsets, parse_charsets
from vna.dicom.elements import PIXEL_TAGS, Scanner, Token
from vna.dicom.encoding import IMPLICIT_LITTLE, Encoding
from vna.dicom.json_memo import LONGEST_SEQUENCE, LONGEST_VALUE, Known, Remembering
from vna.dicom.json_values import swapped, value_json
from vna.dicom.vrs import BINARY_VRS, SEVERAL_VRS, implicit_vr, private_vr
from vna.model.query import JsonElement

MAX_DEPTH = 64
BULK_THRESHOLD = 1024
_MAX_GUESSED_UN = 0xFFFE
_CHARACTER_SET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00080005, 0x00280103, 0x00283002


@dataclass(frozen=True, slots=True)
class Place:
    """What an item inherits: its path ("" or "54000100/0/"), depth, character sets, pixel
    representation.
    """

    path: str = ""
    depth: int = 0
    charsets: Charsets = DEFAULT
    is_signed: bool = False


class JsonWriter:
    """Turns tokens into JSON elements."""

    __slots__ = ("bulk_count", "bulk_uri", "memo", "scanner")

    def __init__(self, scanner: Scanner, bulk_uri: Callable[[str], str] | None) -> None:
        self.scanner, self.bulk_uri = scanner, bulk_uri
        self.memo = bulk_uri.memo if isinstance(bulk_uri, Remembering) else None
        self.bulk_count = 0

    def dataset(
        self, tokens: list[Token], encoding: Encoding, place: Place
    ) -> dict[str, JsonElement]:
        """The elements of `tokens` by tag; of equal tags the last one counts."""
        by_tag = {token[0]: token for token in tokens}
        place = self._own_place(by_tag, encoding, place)
        known: Known | None = None
        if self.memo is not None:
            known = self.memo.within(place.charsets, encoding, is_signed=place.is_signed)
        result: dict[str, JsonElement] = {}
        for tag in sorted(by_tag):
            if tag & 0xFFFF and tag >= 0x00030000 and tag != 0xFFFCFFFC:
                result[f"{tag:08X}"] = self._element(by_tag[tag], by_tag, encoding, place, known)
        return result

    def _element(
        self,
        token: Token,
        by_tag: dict[int, Token],
        encoding: Encoding,
        place: Place,
        known: Known | None,
    ) -> JsonElement:
        tag, vr, offset, length, undefined = token
        if vr == "UN" or (encoding.implicit and tag in SEVERAL_VRS):
            vr = self._true_vr(token, by_tag, encoding, place)
        if vr == "SQ":
            return self._known_sequence(token, encoding, place, known)
        if vr in BINARY_VRS or undefined:
            return self._binary(token, vr, place, big_endian=encoding.big_endian)
        data = bytes(self.scanner.buffer[offset : offset + length])
        if known is None or length > LONGEST_VALUE:
            return value_json(vr, data, place.charsets, big_endian=encoding.big_endian)
        found = known.get((vr, data))
        if found is None:
            found = value_json(vr, data, place.charsets, big_endian=encoding.big_endian)
            known[vr, data] = found
        return found

    def _own_place(self, by_tag: dict[int, Token], encoding: Encoding, place: Place) -> Place:
        charset, signed = by_tag.get(_CHARACTER_SET), by_tag.get(_PIXEL_REPRESENTATION)
        if charset is None and signed is None:
            return place
        charsets, is_signed = place.charsets, place.is_signed
        if charset is not None:
            charsets = parse_charsets(self._bytes(charset))
        if signed is not None and signed[3] == 2:
            is_signed = any(self._bytes(signed))
        return Place(place.path, place.depth, charsets, is_signed)

    def _true_vr(
        self, token: Token, by_tag: dict[int, Token], encoding: Encoding, place: Place
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

    def _known_sequence(
        self, token: Token, encoding: Encoding, place: Place, known: Known | None
    ) -> JsonElement:
        """As `_sequence`; what holds a BulkDataURI is another one in each instance."""
        tag, vr, offset, length, undefined = token
        if known is None or length > LONGEST_SEQUENCE:
            return self._sequence(token, encoding, place)
        data = bytes(self.scanner.buffer[offset : offset + length])
        key = tag, vr, undefined, place.depth, data
        found = known.get(key)
        if found is None:
            before = self.bulk_count
            found = self._sequence(token, encoding, place)
            if self.bulk_count == before:
                known[key] = found
        return found

    def _sequence(self, token: Token, encoding: Encoding, place: Place) -> JsonElement:
        if place.depth >= MAX_DEPTH:
            return {"vr": "SQ"}
        encoding = self.scanner.children_encoding(token, encoding)
        if token[1] == "UN" and not token[4] and encoding.big_endian:
            encoding = IMPLICIT_LITTLE
        path = f"{place.path}{token[0]:08X}/"
        items = []
        for number, (start, end) in enumerate(self.scanner.items(token, encoding)):
            inner = Place(f"{path}{number}/", place.depth + 1, place.charsets, place.is_signed)
            tokens, _ = self.scanner.elements(start, end, encoding)
            items.append(self.dataset(tokens, encoding, inner))
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}

    def _binary(self, token: Token, vr: str, place: Place, *, big_endian: bool) -> JsonElement:
        tag, _, _, length, undefined = token
        if undefined and vr not in BINARY_VRS:
            vr = "UN"
        if not length and not undefined:
            return {"vr": vr}
        is_bulk = length > BULK_THRESHOLD or tag in PIXEL_TAGS or undefined
        self.bulk_count += is_bulk
        if self.bulk_uri is not None and is_bulk:
            return {"vr": vr, "BulkDataURI": self.bulk_uri(f"{place.path}{tag:08X}")}
        data = self._bytes(token)
        if big_endian:
            data = swapped(vr, data)
        return {"vr": vr, "InlineBinary": b64encode(data).decode("ascii")}

    def _bytes(self, token: Token) -> bytes:
        _, _, offset, length, _ = token
        return bytes(self.scanner.buffer[offset : offset + length])
