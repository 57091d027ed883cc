"""Frames, bulk data and converted datasets of stored instances: pixels are decoded only when they must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vna.dicom.codestream import split_items
from vna.dicom.decode import PixelDescription
from vna.dicom.envelope import is_private
from vna.dicom.native import frame_to_little_endian, native_frame
from vna.dicom.pixels import transcode
from vna.dicom.syntaxes import (
    DEFLATED_EXPLICIT_VR,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
    TARGETS,
)
from vna.dicom.vrs import WORD_SIZES
from vna.errors import NotFound, Unsupported
from vna.model.frames import EncapsulatedFrames, FrameTable, NativeFrames
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement
from vna.services.decoders import Decoding, InProcess
from vna.services.extract import Extract, ExtractService
from vna.services.header_bytes import header_bytes
from vna.services.header_json import header_json
from vna.services.reading import (
    Read,
    check_frame_size,
    check_size,
    fragments_reader,
    layout_reader,
    swapped_reader,
)
from vna.services.retrieve import RetrieveService

T = TypeVar("T", int, str)

_PIXEL_DATA = ("7FE00008", "7FE00009", "7FE00010")
PIXEL_DATA_PATHS = frozenset(_PIXEL_DATA)
_UNDEFINED_LENGTH = b"\xff" * 4
_HERE = InProcess()
_NATIVE_AS_EXPLICIT = frozenset(
    {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED_EXPLICIT_VR}
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame (numbered from 1) in the syntax in which it is delivered, item headers stripped."""

    number: int
    data: bytes
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class BulkData:
    """A value outside the metadata. `read(start, length)` gives its bytes, little endian; `length` in bytes.

    Encapsulated pixel data has no such single value: `frames` says how many parts it has instead, and
    PixelService.frames gives them. Where its frames can't be told apart (video), the value is its
    fragments one behind the other, and `transfer_syntax_uid` says what they are; else that is "".
    """

    vr: str
    length: int
    read: Read
    frames: int = 0
    transfer_syntax_uid: str = ""


class PixelService:
    """Cuts, finds and converts what lies inside stored instances; `extracts` makes new ones of them."""

    def __init__(self, retrieve: RetrieveService, max_bytes: int, decoders: Decoding) -> None:
        self._retrieve = retrieve
        self._max_bytes = max_bytes
        self._decoders = decoders
        self.extracts = ExtractService(retrieve, max_bytes)

    def frames(self, instance: StoredInstance, numbers: Sequence[int]) -> Iterator[Frame]:
        """The frames in the order asked for, as stored; the few syntaxes without a media type of their own
        (big endian, deflated, RLE of 32 bits) as explicit little endian.

        Raises NotFound before the first frame when there is no such frame, Corrupt, DecoderFailed, Unavailable,
        Unsupported.
        """
        table = self._retrieve.frame_table(instance)
        if table is None:
            raise NotFound(
                f"instance {instance.uids.sop_instance_uid} has no frames that can be told apart; "
                "pixel data such as video can be had as a whole through its BulkDataURI"
            )
        for number in numbers:
            if not 1 <= number <= table.count:
                raise NotFound(
                    f"instance {instance.uids.sop_instance_uid} has {table.count} frames, no frame {number}"
                )
        return self._frames(instance, table, numbers)

    def _frames(
        self, instance: StoredInstance, table: FrameTable, numbers: Sequence[int]
    ) -> Iterator[Frame]:
        stored = instance.transfer_syntax_uid
        read = self._pixel_reader(instance)
        convert = self._conversion(instance)
        syntax = EXPLICIT_VR_LITTLE_ENDIAN if convert or stored in _NATIVE_AS_EXPLICIT else stored
        for number in numbers:
            start, length = table.span(number)
            data = read(start, length)
            match table:
                case NativeFrames():
                    data = native_frame(data, table, number)
                case EncapsulatedFrames():
                    data = b"".join(split_items(data))
            yield Frame(number, convert(data) if convert else data, syntax)

    def _pixel_reader(self, instance: StoredInstance) -> Read:
        """Bytes of the pixel data by position in the layout, words in little endian."""
        read = layout_reader(self._retrieve, instance, self._max_bytes)
        if instance.transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN:
            return read
        layout = instance.layout
        word = pixel_word(header_json(self._retrieve, instance, lambda path: path))
        return swapped_reader(read, (layout.pixel_offset, layout.pixel_length), word)

    def _conversion(self, instance: StoredInstance) -> Callable[[bytes], bytes] | None:
        if instance.transfer_syntax_uid != RLE_LOSSLESS:
            return None
        description = describe(header_json(self._retrieve, instance, lambda path: path))
        if description.bits_allocated != 32:
            return None
        check_frame_size(description, self._max_bytes)
        return lambda frame: self._decoders.call(
            frame_to_little_endian, frame, RLE_LOSSLESS, description
        )

    def dataset_as(self, instance: StoredInstance, transfer_syntax_uid: str) -> bytes:
        """The dataset in explicit or implicit little endian, without file meta.

        Raises Unsupported naming the stored syntax when it can't be converted, DecoderFailed, Corrupt, Unavailable.
        """
        check_size(instance, self._max_bytes)
        data, stored = self._retrieve.load_dataset(instance), instance.transfer_syntax_uid
        return self._transcoded(data, 0, stored, transfer_syntax_uid)

    def extract_as(self, extract: Extract, transfer_syntax_uid: str) -> bytes:
        """The dataset of an extract, as `dataset_as`."""
        if transfer_syntax_uid == extract.instance.transfer_syntax_uid:
            return extract.dataset
        stored = extract.instance.transfer_syntax_uid
        return self._transcoded(memoryview(extract.dataset), 0, stored, transfer_syntax_uid)

    def _transcoded(self, data: memoryview, offset: int, stored: str, target: str) -> bytes:
        """Where no codec is needed it is done here: the way to another process would cost more."""
        is_plain = stored in TARGETS and target in TARGETS
        decoders = _HERE if is_plain else self._decoders
        return decoders.call(
            transcode,
            data,
            dataset_offset=offset,
            transfer_syntax_uid=stored,
            target=target,
            max_bytes=self._max_bytes,
        )

    def bulk(self, instance: StoredInstance, path: str) -> BulkData:
        """The value that a BulkDataURI of the metadata means: `path` is "7FE00010" or "54000100/0/54001010".

        Raises NotFound, Unsupported, Corrupt, Unavailable; so does reading from it.
        """
        if path.upper() in PIXEL_DATA_PATHS and instance.layout.pixel_offset >= 0:
            return self._pixel_data(instance)
        with header_bytes(self._retrieve, instance) as header:
            try:
                span = header.find(instance, path)
            except NotFound:
                if header.is_whole:
                    raise
                raise Unsupported(f"{path[:80]!r} may lie behind what is inflated") from None
            place = header.position(span.offset, instance), span.length
            if place[0] < 0:  # a correction has put it there: nothing of it is stored
                place = 0, span.length
                read = _held(bytes(header.data[span.offset : span.offset + span.length]))
            else:
                read = layout_reader(self._retrieve, instance, self._max_bytes)
        word = WORD_SIZES.get(span.vr, 1) if span.big_endian else 1
        return _value(swapped_reader(read, place, word), place, span.vr)

    def _pixel_data(self, instance: StoredInstance) -> BulkData:
        layout, table = instance.layout, self._retrieve.frame_table(instance)
        if isinstance(table, EncapsulatedFrames):
            return BulkData("OB", 0, _nothing, table.count)
        read = self._pixel_reader(instance)
        span = layout.pixel_offset, layout.pixel_length
        if is_private(instance.transfer_syntax_uid):
            raise Unsupported(
                f"the order of bytes in pixel data of {instance.transfer_syntax_uid}, a private transfer syntax, "
                "is not known: fetch the instance or its frames as stored"
            )
        if table is None and read(layout.pixel_offset - 4, 4) == _UNDEFINED_LENGTH:
            length, joined = fragments_reader(read, span)
            return BulkData("OB", length, joined, 0, instance.transfer_syntax_uid)
        return _value(read, span, "OW")


def _held(data: bytes) -> Read:
    return lambda start, length: data[start : start + length]


def _value(read: Read, span: tuple[int, int], vr: str) -> BulkData:
    offset, size = span
    return BulkData(vr, size, lambda start, length: read(offset + start, min(length, size - start)))


def _nothing(_start: int, _length: int) -> bytes:
    return b""


def describe(header: dict[str, JsonElement]) -> PixelDescription:
    """The Image Pixel module of a header in the DICOM JSON model."""
    return PixelDescription(
        rows=_first(header, "00280010", 0),
        columns=_first(header, "00280011", 0),
        samples_per_pixel=_first(header, "00280002", 1),
        bits_allocated=_first(header, "00280100", 16),
        bits_stored=_first(header, "00280101", 0),
        pixel_representation=_first(header, "00280103", 0),
        planar_configuration=_first(header, "00280006", 0),
        photometric_interpretation=_first(header, "00280004", "MONOCHROME2"),
    )


def pixel_word(header: dict[str, JsonElement]) -> int:
    """The bytes of a word of native pixel data: OW counts by Bits Allocated (PS3.5 8.1.1, 8.2)."""
    vr = next((str(header[tag].get("vr")) for tag in _PIXEL_DATA if tag in header), "OW")
    if vr != "OW":
        return WORD_SIZES.get(vr, 1)
    return max(2, _first(header, "00280100", 16) // 8)


def _first(header: dict[str, JsonElement], tag: str, default: T) -> T:
    values = header.get(tag, {}).get("Value")
    value = values[0] if isinstance(values, list) and values else default
    return value if isinstance(value, type(default)) else default
