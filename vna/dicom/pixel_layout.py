"""Where an object's pixel data lie, what frames they hold, and what stands behind them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vna.dicom.attribute_reader import AttributeReader
from vna.dicom.elements import Scanner
from vna.dicom.encoding import UNDEFINED_LENGTH, Encoding, Sliceable
from vna.dicom.envelope import DEFLATED_UIDS, NATIVE_UIDS, Envelope, Syntax
from vna.dicom.frames import PixelFacts, Pixels, encapsulated_pixels, native_pixels
from vna.dicom.header_elements import Dataset
from vna.model.instances import InstanceLayout

_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_VIDEO = tuple(f"1.2.840.10008.1.2.4.10{n}" for n in range(9))
_FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}
_MAX_TABLE_BYTES = 2**26
_MAX_TAIL_BYTES = 2**24


class TakesAll(Exception):
    """The object has to be had in one piece."""


@dataclass(frozen=True, slots=True)
class Walked:
    """An object as it was walked up to its pixel data. `whole`: what positions count in, inflated if need be."""

    envelope: Envelope
    syntax: Syntax
    scanner: Scanner
    dataset: Dataset
    whole: Sliceable

    @property
    def is_in_pieces(self) -> bool:
        """Whether only the first bytes are at hand."""
        return self.whole is not self.dataset.buffer


def find_layout(
    walked: Walked, reader: AttributeReader
) -> tuple[InstanceLayout, Pixels | None, int]:
    """The layout, the pixel data if there is any, and the declared number of frames (0: none that
    is usable). Raises TakesAll for an object in pieces where they do not do.
    """
    dataset, syntax, whole = walked.dataset, walked.syntax, walked.whole
    end, begin = len(whole), walked.envelope.dataset_offset
    if syntax.deflated and syntax.transfer_syntax_uid not in DEFLATED_UIDS:
        # Nobody would know that positions are those of the inflated dataset: it is one opaque run.
        stored = len(walked.scanner.buffer)
        return InstanceLayout(begin, stored, -1, 0, stored), None, 0
    if dataset.pixel_element < 0:
        return InstanceLayout(begin, end, -1, 0, end), None, 0
    tag, offset, length = _pixel_element(walked, end)
    declared = reader.number_of_frames()
    facts = _facts(reader, tag, declared)
    if length == UNDEFINED_LENGTH:
        pixels = _encapsulated(walked, reader, offset, facts)
    else:
        pixels = _native(walked, reader, (offset, length), facts)
    if dataset.is_whole and pixels.tail_offset < end - 8:
        if walked.is_in_pieces and end - pixels.tail_offset > _MAX_TAIL_BYTES:
            raise TakesAll
        _read_tail(memoryview(whole[pixels.tail_offset :]), syntax.encoding, reader)
    layout = InstanceLayout(begin, dataset.pixel_element, offset, pixels.length, pixels.tail_offset)
    return layout, pixels, declared


def _pixel_element(walked: Walked, end: int) -> tuple[int, int, int]:
    """(tag, offset of the value, length as written)."""
    dataset = walked.dataset
    try:
        scanner = Scanner(dataset.buffer)
        return scanner.value_at(dataset.pixel_element, end, walked.syntax.encoding)
    except struct.error as exc:  # what it depends on lies behind the first bytes
        raise TakesAll from exc


def _facts(reader: AttributeReader, tag: int, declared: int) -> PixelFacts:
    number = reader.number
    return PixelFacts(
        number(0x00280010),
        number(0x00280011),
        number(0x00280002),
        _FLOAT_BITS.get(tag) or number(0x00280100),
        reader.text(0x00280004),
        declared,
    )


def _native(
    walked: Walked, reader: AttributeReader, span: tuple[int, int], facts: PixelFacts
) -> Pixels:
    offset, length = span
    available = len(walked.whole) - offset if walked.dataset.is_whole else length
    syntax = walked.syntax
    if syntax.transfer_syntax_uid not in NATIVE_UIDS and length:
        reader.warn(f"pixel data of {syntax.transfer_syntax_uid} is not encapsulated")
        if length * 8 < facts.frame_bits * (facts.number_of_frames or 1):
            present = min(length, available)
            return Pixels(present, offset + present, None, ())
    return native_pixels(offset, length, available, facts)


def _encapsulated(
    walked: Walked, reader: AttributeReader, offset: int, facts: PixelFacts
) -> Pixels:
    uid = walked.syntax.transfer_syntax_uid
    if uid in NATIVE_UIDS:
        reader.warn(f"pixel data of {uid} is encapsulated")
    extended = None
    if _EXTENDED_OFFSETS in walked.dataset.elements:
        tables = (
            reader.data(tag, _MAX_TABLE_BYTES) for tag in (_EXTENDED_OFFSETS, _EXTENDED_LENGTHS)
        )
        extended = (next(tables), next(tables))
    declared = facts.number_of_frames or (0 if reader.has(0x00280008) else 1)
    return encapsulated_pixels(
        walked.whole, offset, declared, is_stream=uid.startswith(_VIDEO), extended=extended
    )


def _read_tail(tail: memoryview, encoding: Encoding, reader: AttributeReader) -> None:
    """Elements behind the pixel data count too, where the header did not have them."""
    scanner = Scanner(tail)
    tokens, _ = scanner.elements(0, len(tail), encoding)
    found = [token for token in tokens if token[0] < 0x7FE00000]
    if found and not scanner.truncated:
        reader.warn("elements stand behind the pixel data")
        reader.add(tail, found)
    elif scanner.truncated:
        reader.warn("bytes behind the pixel data are no elements")
