"""Frames, bulk data and converted datasets of stored instances: pixels are decoded only when they must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vna.dicom.codestream import split_items
from vna.dicom.decode import PixelDescription
from vna.dicom.deflate import inflated_object
from vna.dicom.json import find_element
from vna.dicom.json_values import swapped
from vna.dicom.native import frame_to_little_endian, native_frame
from vna.dicom.pixels import transcode
from vna.dicom.syntaxes import (
    DEFLATED_EXPLICIT_VR,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
)
from vna.errors import NotFound, Unsupported
from vna.model.frames import EncapsulatedFrames, FrameTable, NativeFrames
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement
from vna.services.header_bytes import chunks, header_bytes, is_deflated
from vna.services.header_json import header_json
from vna.services.retrieve import RetrieveService

Read = Callable[[int, int], bytes]
T = TypeVar("T", int, str)

PIXEL_DATA_PATHS = frozenset({"7FE00008", "7FE00009", "7FE00010"})
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
    PixelService.frames gives them.
    """

    vr: str
    length: int
    read: Read
    frames: int = 0


class PixelService:
    """Cuts, finds and converts what lies inside stored instances."""

    def __init__(self, retrieve: RetrieveService, max_bytes: int) -> None:
        self._retrieve = retrieve
        self._max_bytes = max_bytes

    def frames(self, instance: StoredInstance, numbers: Sequence[int]) -> Iterator[Frame]:
        """The frames in the order asked for, as stored; the few syntaxes without a media type of their own
        (big endian, deflated, RLE of 32 bits) as explicit little endian.

        Raises NotFound before the first frame when there is no such frame, Corrupt, Unavailable, Unsupported.
        """
        table = self._retrieve.frame_table(instance)
        if table is None:
            raise NotFound(f"instance {instance.uids.sop_instance_uid} has no frames to tell apart")
        for number in numbers:
            if not 1 <= number <= table.count:
                raise NotFound(
                    f"instance {instance.uids.sop_instance_uid} has {table.count} frames, no frame {number}"
                )
        return self._frames(instance, table, numbers)

    def _frames(
        self, instance: StoredInstance, table: FrameTable, numbers: Sequence[int]
    ) -> Iterator[Frame]:
        read = self._reader(instance)
        stored = instance.transfer_syntax_uid
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

    def _reader(self, instance: StoredInstance) -> Read:
        if not is_deflated(instance):
            return lambda start, length: self._retrieve.read(instance, start, length)
        data = inflated_object(
            self._whole(instance), instance.layout.dataset_offset, self._max_bytes
        )
        return lambda start, length: data[start : start + length]

    def _conversion(self, instance: StoredInstance) -> Callable[[bytes], bytes] | None:
        syntax = instance.transfer_syntax_uid
        if syntax not in {EXPLICIT_VR_BIG_ENDIAN, RLE_LOSSLESS}:
            return None
        header = header_json(self._retrieve, instance, lambda path: path)
        description = describe(header)
        if syntax == RLE_LOSSLESS and description.bits_allocated != 32:
            return None
        vr = str(header.get("7FE00010", {}).get("vr", "OW"))
        return lambda frame: frame_to_little_endian(frame, syntax, description, vr)

    def _whole(self, instance: StoredInstance) -> memoryview:
        if instance.location.length > self._max_bytes:
            raise Unsupported(
                f"instance {instance.uids.sop_instance_uid} has {instance.location.length} bytes, "
                f"more than archive.max_transcode_bytes allows to convert; it can be had as stored"
            )
        with self._retrieve.open(instance) as reader:
            return memoryview(b"".join(chunks(reader)))

    def dataset_as(self, instance: StoredInstance, transfer_syntax_uid: str) -> bytes:
        """The dataset in explicit or implicit little endian, without file meta.

        Raises Unsupported naming the stored syntax when it can't be converted, Corrupt, Unavailable.
        """
        return transcode(
            self._whole(instance),
            dataset_offset=instance.layout.dataset_offset,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            target=transfer_syntax_uid,
            max_bytes=self._max_bytes,
        )

    def bulk(self, instance: StoredInstance, path: str) -> BulkData:
        """The value that a BulkDataURI of the metadata means: `path` is "7FE00010" or "54000100/0/54001010".

        Raises NotFound, Corrupt, Unavailable.
        """
        layout = instance.layout
        if path.upper() in PIXEL_DATA_PATHS and layout.pixel_offset >= 0:
            table = self._retrieve.frame_table(instance)
            if isinstance(table, EncapsulatedFrames):
                return BulkData("OB", 0, _nothing, table.count)
            return self._value(
                instance, layout.pixel_offset, layout.pixel_length, self._swap(instance)
            )
        with header_bytes(self._retrieve, instance) as buffer:
            span = find_element(
                buffer,
                dataset_offset=layout.dataset_offset,
                transfer_syntax_uid=instance.transfer_syntax_uid,
                path=path,
            )
        return self._value(
            instance, span.offset, span.length, span.vr if span.big_endian else "", span.vr
        )

    def _swap(self, instance: StoredInstance) -> str:
        """The VR by which pixel words are swapped, "" for little endian ones."""
        if instance.transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN:
            return ""
        header = header_json(self._retrieve, instance, lambda path: path)
        return str(header.get("7FE00010", {}).get("vr", "OW"))

    def _value(
        self, instance: StoredInstance, offset: int, size: int, swap_vr: str, vr: str = "OW"
    ) -> BulkData:
        read = self._reader(instance)

        def piece(start: int, length: int) -> bytes:
            if not swap_vr:
                return read(offset + start, min(length, size - start))
            first = start - start % 8
            data = swapped(swap_vr, read(offset + first, min(length + 16, size - first)))
            return data[start - first : start - first + length]

        return BulkData(vr, size, piece)


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


def _first(header: dict[str, JsonElement], tag: str, default: T) -> T:
    values = header.get(tag, {}).get("Value")
    value = values[0] if isinstance(values, list) and values else default
    return value if isinstance(value, type(default)) else default
