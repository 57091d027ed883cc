"""A correction as changes of bytes, with what was there before in Original Attributes (PS3.3 C.12.1.1.9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vna.dicom.charset import DEFAULT, parse_charsets
from vna.dicom.correction_texts import texts_in, widened
from vna.dicom.element_writer import ElementWriter
from vna.dicom.elements import EXPLICIT_LITTLE, ITEM, SEQUENCE_END, UNDEFINED_LENGTH, Scanner, Token
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.envelope import DEFLATED_UIDS, dataset_start, find_syntax
from vna.dicom.pixels import joined
from vna.dicom.rewrite import Elements, Rewriter
from vna.dicom.splices import Splice, Splices
from vna.dicom.vrs import implicit_vr
from vna.errors import InvalidInstance
from vna.model.corrections import Correction
from vna.model.query import JsonElement

_CHARACTER_SET, _ORIGINAL, _MODIFIED = 0x00080005, 0x04000561, 0x04000550
_IDENTIFYING = frozenset({0x00080016, 0x00080018, 0x0020000D, 0x0020000E})
_PIXELS = 0x0028
_LAST_GROUP = 0x7FE0
_MOST_HELD = 4 * 2**20
"""Bytes of one previous value, which is held in memory for as long as the object is read."""


@dataclass(frozen=True, slots=True)
class StoredHeader:
    """An object without its pixel data, or with them: all up to `stop`, and from `tail` on what stands behind the pixel
    data, which lies at `tail_position` of the object; -1: there is none. Of a deflated one inflated.
    """

    data: Buffer
    dataset_offset: int
    stop: int
    tail: int
    tail_position: int
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Corrected:
    """`character_set`: the terms by which the texts of what leaves are to be read; None: as they were."""

    splices: Splices
    character_set: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Found:
    """An element of the dataset, header and all from `start` to `stop`."""

    token: Token
    start: int
    stop: int


def check_correction(correction: Correction) -> None:
    """Raises InvalidInstance for elements that no correction may touch: by which an object is found, or decoded."""
    for key in correction.elements:
        tag = int(key, 16)
        group = tag >> 16
        is_other = group < 0x0008 or group >= _LAST_GROUP or group == _PIXELS or not tag & 0xFFFF
        if is_other or tag in _IDENTIFYING or tag in {_CHARACTER_SET, _ORIGINAL}:
            raise InvalidInstance(f"a correction can't change element {key}")


def corrected_header(header: StoredHeader, correction: Correction) -> Corrected:
    """What `correction` changes in an object. Raises InvalidInstance where it can't be written safely."""
    return _Correcting(header, correction).corrected()


class _Correcting:
    """One object and one correction."""

    def __init__(self, header: StoredHeader, correction: Correction) -> None:
        self._header, self._correction = header, correction
        uid = header.transfer_syntax_uid
        syntax = find_syntax(header.data, header.dataset_offset, uid)
        if syntax.deflated and syntax.transfer_syntax_uid not in DEFLATED_UIDS:
            raise InvalidInstance("its dataset is deflated, which its label does not say")
        self._encoding = syntax.encoding
        self._writer = ElementWriter(self._encoding)
        self._scanner = Scanner(header.data)
        start = dataset_start(header.data, header.dataset_offset)
        self._head = self._elements(start, header.stop)
        self._breaks_off = self._scanner.truncated
        self._behind: list[_Found] = []
        if header.tail >= 0:
            self._behind = self._elements(header.tail, len(header.data))
        found = [*self._behind, *self._head]
        self._last = {element.token[0]: element for element in found}

    def corrected(self) -> Corrected:
        written, label = self._written()
        new = self._changed(label)
        modified = [*new, *(int(key, 16) for key in self._correction.elements)]
        new |= {tag: joined(list(chunks)) for tag, chunks in written.chunks.items()}
        new[_ORIGINAL] = self._original_attributes(sorted(modified), new)
        splices = [*self._removals(new), *self._insertions(new)]
        charsets = parse_charsets(label) if _CHARACTER_SET in new else None
        return Corrected(Splices.of(splices), charsets)

    # --- reading -------------------------------------------------------------------------------

    def _elements(self, start: int, stop: int) -> list[_Found]:
        """Those of the dataset itself; bytes between two belong to the later one."""
        found, position = [], start
        for token in self._scanner.elements(start, stop, self._encoding)[0]:
            end = token[2] + token[3]
            if token[4] and end + 8 <= stop:
                is_delimiter = self._scanner.tag_at(end, self._encoding) == SEQUENCE_END
                end += 8 if is_delimiter else 0
            found.append(_Found(token, position, end))
            position = end
        return found

    def _value(self, tag: int) -> bytes | None:
        found = self._last.get(tag)
        if found is None:
            return None
        _, _, offset, length, _ = found.token
        return self._held(tag, offset, offset + length)

    def _held(self, tag: int, start: int, stop: int) -> bytes:
        if stop - start > _MOST_HELD:
            raise InvalidInstance(
                f"element {tag:08X} has {stop - start} bytes: a correction tells of {_MOST_HELD} at most"
            )
        return bytes(self._header.data[start:stop])

    # --- writing -------------------------------------------------------------------------------

    def _written(self) -> tuple[Elements, bytes]:
        """The new elements, and the value of the Specific Character Set that they and all others are in."""
        correction = self._correction
        said = (self._value(_CHARACTER_SET) or b"").strip(b" \0")
        label = said
        if correction.character_set is not None:
            label = "\\".join(correction.character_set).encode("ascii", "replace")
        charsets = parse_charsets(label) if label else DEFAULT
        elements = {**correction.elements, **self._account()}
        chunks = texts_in(elements, charsets)
        if chunks is None:
            tokens = [element.token for element in (*self._head, *self._behind)]
            chunks, charsets = widened(elements, charsets, self._scanner, tokens, self._encoding)
        plain = joined(chunks)
        if not plain.isascii():  # then the label matters, and is written as others can read it
            label = "\\".join(charsets).encode("ascii", "replace")
        return self._encoded(plain), label

    def _account(self) -> Mapping[str, JsonElement]:
        """What is told of the change, as elements of an item of Original Attributes."""
        correction = self._correction
        at = correction.modified_at.strftime("%Y%m%d%H%M%S.%f%z")
        return {
            "04000562": {"vr": "DT", "Value": [at]},
            "04000563": {"vr": "LO", "Value": [correction.system]},
            "04000564": {"vr": "LO", "Value": [correction.source] if correction.source else []},
            "04000565": {"vr": "CS", "Value": [correction.reason.value]},
        }

    def _encoded(self, plain: bytes, target: Encoding | None = None) -> Elements:
        """Elements in explicit little endian as those of the object are written."""
        rewriter = Rewriter(memoryview(plain), EXPLICIT_LITTLE, target or self._encoding)
        return rewriter.dataset(0, len(plain))[0]

    def _changed(self, label: bytes) -> dict[int, bytes]:
        """The Specific Character Set, where it is another one now."""
        said = self._value(_CHARACTER_SET)
        if label == (said or b"").strip(b" \0"):
            return {}
        return {_CHARACTER_SET: _bytes(self._writer.written(_CHARACTER_SET, "CS", label))}

    def _original_attributes(self, modified: Iterable[int], new: dict[int, bytes]) -> bytes:
        """The sequence with one more item: what was there, and in `new` what is told of the change."""
        writer = self._writer
        inner = b"".join(self._as_it_was(tag) for tag in modified)
        inner = writer.head(ITEM, "", len(inner)) + inner
        told = b"".join(new.pop(tag) for tag in range(0x04000562, 0x04000566))
        item = writer.head(_MODIFIED, "SQ", len(inner)) + inner + told
        known = self._last.get(_ORIGINAL)
        if known is None:
            return self._sequence("SQ", writer.head(ITEM, "", len(item)) + item)
        tag, vr, offset, length, undefined = known.token
        inside = self._scanner.children_encoding(known.token, self._encoding)
        if inside != self._encoding:
            rewriter = Rewriter(memoryview(item), self._encoding, inside)
            item = joined(list(rewriter.dataset(0, len(item))[0].all_chunks()))
        head = ElementWriter(inside).head(ITEM, "", len(item))
        items = self._held(tag, offset, offset + length) + head + item
        if undefined and inside != self._encoding:
            end = ElementWriter(inside).delimiter(SEQUENCE_END)
            return writer.head(tag, vr, UNDEFINED_LENGTH) + items + end
        return self._sequence(vr, items)

    def _sequence(self, vr: str, items: bytes) -> bytes:
        return self._writer.head(_ORIGINAL, vr, len(items)) + items

    def _as_it_was(self, tag: int) -> bytes:
        """An element byte for byte; an empty one where there was none."""
        found = self._last.get(tag)
        if found is None:
            element = self._correction.elements.get(f"{tag:08X}", {})
            vr = str(element.get("vr") or implicit_vr(tag))
            return self._writer.head(tag, vr, 0)
        _, vr, offset, length, undefined = found.token
        if undefined:  # from its tag on: what is no element may stand in front of it
            header = 8 if self._encoding.implicit else 12
            return self._held(tag, offset - header, found.stop)
        value = self._held(tag, offset, offset + length)
        return _bytes(self._writer.written(tag, vr, value))

    # --- places --------------------------------------------------------------------------------

    def _removals(self, new: Mapping[int, bytes]) -> list[Splice]:
        """The elements that are replaced, wherever they stand, and lengths of groups that are no longer true."""
        gone = {*new, *(tag & 0xFFFF0000 for tag in new)}
        moved = self._header.tail_position - self._header.tail
        head = [Splice(e.start, e.stop, b"") for e in self._head if e.token[0] in gone]
        return head + [
            Splice(e.start + moved, e.stop + moved, b"") for e in self._behind if e.token[0] in gone
        ]

    def _insertions(self, new: Mapping[int, bytes]) -> list[Splice]:
        """Each in front of the first element with a higher tag."""
        places = []
        for tag in sorted(new):
            later = (element.start for element in self._head if element.token[0] > tag)
            place = next(later, self._header.stop)
            if self._breaks_off and place == self._header.stop:
                raise InvalidInstance(
                    f"its dataset breaks off before element {tag:08X}, which a correction puts into it"
                )
            places.append(Splice(place, place, new[tag]))
        return places


def _bytes(chunks: Iterable[object]) -> bytes:
    return b"".join(bytes(chunk) for chunk in chunks if isinstance(chunk, (bytes, memoryview)))
