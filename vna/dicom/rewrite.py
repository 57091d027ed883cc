"""A dataset written again in another encoding, its values untouched (PS3.5 7.1, 7.3, 7.5)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from vna.dicom.element_writer import Buffer, Chunk, ElementWriter, Frames, length_of, word_size
from vna.dicom.elements import IMPLICIT_LITTLE, Encoding
from vna.dicom.encode_values import swap_words
from vna.dicom.vr_context import PIXEL_DATA, Context, vr_in_context
from vna.dicom.vrs import SHORT_VRS
from vna.errors import Unsupported

UNDEFINED = 0xFFFFFFFF
MAX_DEPTH = 64
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA_BYTES = b"\xe0\x7f\x10\x00"


@dataclass(slots=True)
class Elements:
    """A dataset being written: by tag, the value read and the chunks to write."""

    values: dict[int, Buffer] = field(default_factory=dict)
    chunks: dict[int, list[Chunk]] = field(default_factory=dict)
    is_dropped: bool = False

    def all_chunks(self) -> Iterator[Chunk]:
        """In tag order, as a dataset must be."""
        for tag in sorted(self.chunks):
            yield from self.chunks[tag]


@dataclass(frozen=True, slots=True)
class NativePixels:
    """Decoded pixel data: its VR, bytes of a sample, frames, and the elements that change with it.

    All in little endian; a change is (VR, value), None removes the element.
    """

    vr: str
    word_size: int
    frames: Frames
    changes: Mapping[int, tuple[str, bytes] | None]


Decoder = Callable[[Mapping[int, Buffer], memoryview], NativePixels]
"""(values of the dataset read so far, value of its encapsulated PixelData) -> native."""


@dataclass(frozen=True, slots=True)
class Omissions:
    """Elements to leave out: those of the dataset itself that `is_omitted`, and by the tag of a sequence
    those inside its items.
    """

    is_omitted: Callable[[int], bool]
    inside: Mapping[int, frozenset[int]] = field(default_factory=dict)

    def inside_of(self, tag: int) -> Omissions:
        """For the items of the sequence `tag` alone."""
        return Omissions(self.inside.get(tag, frozenset()).__contains__)


@dataclass(frozen=True, slots=True)
class _Header:
    tag: int
    vr: str
    length: int
    start: int
    value: int
    stop: int


class Rewriter:
    """Reads `view` in one encoding and writes it in another, in one pass of bounded depth.

    Values are slices of `view` unless their bytes have to be swapped. With `decode`, encapsulated
    pixel data becomes native wherever it stands. Within one encoding, elements that need no change
    are kept byte for byte; between encodings, group lengths (retired, and no longer true) are left
    out and odd values padded. `omissions` are left out wherever they stand.
    """

    def __init__(
        self,
        view: memoryview,
        source: Encoding,
        target: Encoding,
        decode: Decoder | None = None,
        omissions: Omissions | None = None,
    ) -> None:
        self._view, self._source, self._target, self._decode = view, source, target, decode
        self._omissions = omissions
        self._sequence_tags: list[int] = []
        self._order = ">" if source.big_endian else "<"
        self._writer = ElementWriter(target)
        self._swaps = source.big_endian != target.big_endian
        self.decoded = 0
        """Elements that were decoded, or left out, so far."""

    def dataset(
        self, start: int, stop: int, context: Context | None = None, depth: int = 0
    ) -> tuple[Elements, int]:
        """The elements of `view` from `start` to `stop` or an item delimiter, and where they ended.

        Raises Unsupported for sequences nested deeper than 64.
        """
        if depth > MAX_DEPTH:
            raise Unsupported(
                f"Sequences are nested deeper than {MAX_DEPTH}: send the object as stored"
            )
        elements, context = Elements(), context or Context()
        position = start
        while (header := self._header(position, stop)) is not None:
            if header.tag == _ITEM_END or (header.tag == _SEQUENCE_END and depth):
                position = header.value if header.tag == _ITEM_END else position
                break
            position = self._element(header, stop, elements, context, depth)
            if self._omissions is not None and self._is_omitted(header.tag):
                elements.chunks.pop(header.tag, None)
                self.decoded += 1
        return elements, position

    def _is_omitted(self, tag: int) -> bool:
        if self._omissions is None:
            return False
        if self._sequence_tags:
            return self._omissions.inside_of(self._sequence_tags[-1]).is_omitted(tag)
        return self._omissions.is_omitted(tag)

    # --- reading -------------------------------------------------------------------------------

    def _header(self, position: int, stop: int) -> _Header | None:
        if position + 8 > stop:
            return None
        group, element, length = struct.unpack_from(f"{self._order}HHI", self._view, position)
        tag, value, vr = group << 16 | element, position + 8, ""
        if not self._source.implicit and group != 0xFFFE:
            vr = str(self._view[position + 4 : position + 6], "latin-1")
            if vr in SHORT_VRS:
                (length,) = struct.unpack_from(f"{self._order}H", self._view, position + 6)
            elif vr.isalpha() and vr.isupper():  # also VRs of the future have 32-bit lengths
                value = position + 12
                if value > stop:
                    return None
                (length,) = struct.unpack_from(f"{self._order}I", self._view, position + 8)
            else:
                vr = "UN"  # an element without VR amid explicit ones
        end = stop if length == UNDEFINED else min(value + length, stop)
        return _Header(tag, vr, length, position, value, end)

    def _element(
        self, header: _Header, stop: int, elements: Elements, context: Context, depth: int
    ) -> int:
        """Takes one element in; gives the position behind it."""
        tag, vr = header.tag, self._vr(header, context)
        if header.tag >> 16 == 0xFFFE:  # a stray delimiter
            return header.value if header.length == UNDEFINED else header.stop
        if header.length == UNDEFINED and tag == PIXEL_DATA:
            return self._encapsulated(header, elements, depth)
        if vr == "SQ" or header.length == UNDEFINED:
            return self._sequence(header, vr, elements, context, depth)
        value = self._view[header.value : header.stop]
        elements.values[tag] = value
        context.remember(tag, value, self._order)
        if self._source == self._target:
            elements.chunks[tag] = self._kept(header)
        elif tag & 0xFFFF:
            elements.chunks[tag] = self._writer.written(
                tag, vr, self._in_order(tag, vr, value, context)
            )
        return header.stop

    def _vr(self, header: _Header, context: Context) -> str:
        """As encoded; by the standard where it is not, or where bytes of UN are to be swapped."""
        if not header.vr or (header.vr == "UN" and self._swaps):
            return vr_in_context(header.tag, context)
        if header.tag == PIXEL_DATA and self._target.big_endian and context.bits_allocated > 8:
            return "OW"
        return header.vr

    def _in_order(self, tag: int, vr: str, value: memoryview, context: Context) -> Buffer:
        size = word_size(vr) if self._swaps else 1
        if size > 1 and tag == PIXEL_DATA and context.bits_allocated > 16:
            size = context.bits_allocated // 8
        return swap_words(value, size) if size > 1 else value

    def _kept(self, header: _Header) -> list[Chunk]:
        """The element as it stands; one that the end of the data cut is closed there."""
        if header.value + header.length == header.stop:
            return [self._view[header.start : header.stop]]
        return self._writer.written(header.tag, header.vr, self._view[header.value : header.stop])

    # --- sequences -----------------------------------------------------------------------------

    def _sequence(
        self, header: _Header, vr: str, elements: Elements, context: Context, depth: int
    ) -> int:
        kept = self._source == self._target
        value = self._view[header.value : header.stop]
        if kept and header.length != UNDEFINED and not self._may_change(header.tag, value):
            elements.chunks[header.tag] = self._kept(header)
            return header.stop
        before, inner = self.decoded, self._reader_of(header)
        self._sequence_tags.append(header.tag)
        body, position = inner.items(header, context, depth)
        self._sequence_tags.pop()
        self.decoded += inner.decoded if inner is not self else 0
        if kept and self.decoded == before:
            elements.chunks[header.tag] = [self._view[header.start : position]]
            return position
        is_undefined = header.length == UNDEFINED
        ending = [self._writer.delimiter(_SEQUENCE_END)] if is_undefined else []
        length = UNDEFINED if is_undefined else length_of(body)
        elements.chunks[header.tag] = [self._writer.head(header.tag, "SQ", length), *body, *ending]
        return position

    def _may_change(self, tag: int, value: memoryview) -> bool:
        if self._omissions is not None and tag in self._omissions.inside:
            return True
        return self._decode is not None and _PIXEL_DATA_BYTES in bytes(value)

    def _reader_of(self, header: _Header) -> Rewriter:
        """UN of undefined length holds a sequence in implicit VR little endian (PS3.5 6.2.2)."""
        if header.vr != "UN" or self._source.implicit:
            return self
        omissions = self._omissions and self._omissions.inside_of(header.tag)
        return Rewriter(self._view, IMPLICIT_LITTLE, self._target, self._decode, omissions)

    def items(self, header: _Header, context: Context, depth: int) -> tuple[list[Chunk], int]:
        """The items of a sequence, written, and the position behind it or at what is no item."""
        chunks: list[Chunk] = []
        position = header.value
        while (item := self._header(position, header.stop)) is not None:
            if item.tag != _ITEM:
                position = item.value if item.tag == _SEQUENCE_END else position
                break
            position = self._item(item, context, depth, chunks)
        return chunks, position if header.length == UNDEFINED else header.stop

    def _item(self, item: _Header, context: Context, depth: int, chunks: list[Chunk]) -> int:
        members, position = self.dataset(item.value, item.stop, replace(context), depth + 1)
        if members.is_dropped:
            return position if item.length == UNDEFINED else item.stop
        body = list(members.all_chunks())
        if item.length == UNDEFINED:
            ending = self._writer.delimiter(_ITEM_END)
            chunks += [self._writer.head(_ITEM, "", UNDEFINED), *body, ending]
            return position
        chunks += [self._writer.head(_ITEM, "", length_of(body)), *body]
        return item.stop

    # --- pixel data ----------------------------------------------------------------------------

    def _encapsulated(self, header: _Header, elements: Elements, depth: int) -> int:
        position = self._end_of_fragments(header)
        if self._decode is None:
            if self._source != self._target:
                raise Unsupported(
                    "The pixel data are encapsulated although the transfer syntax is not: "
                    "send the object as stored"
                )
            elements.chunks[header.tag] = [self._view[header.start : position]]
            return position
        self.decoded += 1
        try:
            pixels = self._decode(elements.values, self._view[header.value : position])
        except Unsupported:
            if not depth:
                raise
            elements.is_dropped = True  # an icon that can't be decoded is left out
            return position
        self._change(elements, pixels.changes)
        elements.chunks[PIXEL_DATA] = [
            self._writer.head(PIXEL_DATA, pixels.vr, pixels.frames.length),
            self._in_target_order(pixels),
        ]
        return position

    def _end_of_fragments(self, header: _Header) -> int:
        position = header.value
        while (item := self._header(position, header.stop)) is not None:
            position = item.stop if item.length != UNDEFINED else item.value
            if item.tag == _SEQUENCE_END:
                return item.value
            if item.tag != _ITEM:
                return item.start
        return header.stop

    def _change(self, elements: Elements, changes: Mapping[int, tuple[str, bytes] | None]) -> None:
        for tag, change in changes.items():
            elements.chunks.pop(tag, None)
            if change is not None:
                vr, value = change
                size = word_size(vr) if self._target.big_endian else 1
                elements.chunks[tag] = self._writer.written(tag, vr, swap_words(value, size))
        for group in {tag >> 16 for tag in (*changes, PIXEL_DATA)}:
            elements.chunks.pop(group << 16, None)  # the group length is no longer true

    def _in_target_order(self, pixels: NativePixels) -> Frames:
        if not self._target.big_endian or pixels.word_size == 1:
            return pixels.frames
        make, size = pixels.frames.make, pixels.word_size
        return Frames(pixels.frames.length, lambda: (swap_words(part, size) for part in make()))
