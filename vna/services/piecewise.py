"""Large instances converted to another transfer syntax frame by frame: no more is held than a few of them."""

from __future__ import annotations

from collections.abc import Iterator

from vna.dicom.compress import encapsulated
from vna.dicom.encode_values import swap_words
from vna.dicom.frame_conversion import convert_frame
from vna.dicom.native import join_frames
from vna.dicom.piecewise import (
    StoredPixels,
    Surroundings,
    convert_surroundings,
    native_surroundings,
)
from vna.dicom.syntaxes import (
    DECODABLE,
    ENCODABLE,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TARGETS,
)
from vna.errors import Unsupported
from vna.interrupts import check_interrupt
from vna.model.frames import FrameTable, NativeFrames
from vna.model.instances import StoredInstance
from vna.services.decoders import Decoding
from vna.services.frame_reading import read_frames
from vna.services.header_bytes import header_bytes
from vna.services.reading import check_frame_size
from vna.services.retrieve import RetrieveService

_CHUNK = 256 * 1024
_PLAIN = frozenset({EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN})


class PiecewiseConversion:
    """Converts what would be too much to hold at once; whoever stops asking stops the work."""

    def __init__(self, retrieve: RetrieveService, decoders: Decoding, max_bytes: int) -> None:
        self._retrieve, self._decoders, self._max_bytes = retrieve, decoders, max_bytes

    def can_convert(self, instance: StoredInstance, target: str) -> bool:
        """Whether `dataset` is made for it: a large one, or one of several frames, to decode or compress."""
        source = instance.transfer_syntax_uid
        is_small = self._retrieve.is_small(instance) and instance.number_of_frames <= 1
        if is_small or not instance.layout.pixel_length:
            return False
        if source in DECODABLE:
            return target in TARGETS or target in ENCODABLE
        return source in _PLAIN and (target in ENCODABLE or target in _PLAIN)

    def dataset(self, instance: StoredInstance, target: str) -> Iterator[bytes]:
        """Its dataset in `target`, in pieces. Raises Corrupt, Unavailable, Unsupported.

        The object is verified before: a damaged frame would be decoded into another picture.
        """
        self._retrieve.verify(instance)
        if {instance.transfer_syntax_uid, target} <= _PLAIN:
            yield from self._copied(instance, target)
        else:
            yield from self._converted(instance, target)

    def _copied(self, instance: StoredInstance, target: str) -> Iterator[bytes]:
        """Pixel data that are the same in both syntaxes."""
        layout = instance.layout
        before, after = self._around(instance)
        head = self._retrieve.read(
            instance, layout.header_length, layout.pixel_offset - layout.header_length
        )
        head, tail = native_surroundings(
            (before, head, after), instance.transfer_syntax_uid, target
        )
        yield head
        start, length = layout.pixel_offset, layout.pixel_length
        with self._retrieve.open(instance, start=start, length=length) as reader:
            while chunk := reader.read(_CHUNK):
                yield chunk
        yield tail

    def _converted(self, instance: StoredInstance, target: str) -> Iterator[bytes]:
        """Pixel data that are decoded, compressed or both."""
        table = self._retrieve.frame_table(instance)
        if table is None:
            raise Unsupported(
                f"the frames of instance {instance.uids.sop_instance_uid} can't be told apart: "
                "it can be had as stored"
            )
        around = self._surroundings(instance, table, target)
        check_frame_size(around.description, self._max_bytes)
        frames = self._frames(instance, table, target, around)
        first = next(frames)  # what can't be converted fails before anything is sent
        yield around.head
        frames = _with_first(first, frames)
        if target in ENCODABLE:
            yield from encapsulated(frames)
        else:
            bits, word = around.description.frame_bits, around.description.bits_allocated // 8
            swaps = target == EXPLICIT_VR_BIG_ENDIAN and word > 1
            for piece in join_frames(frames, bits):
                yield swap_words(piece, word) if swaps else piece
        yield around.tail

    def _surroundings(
        self, instance: StoredInstance, table: FrameTable, target: str
    ) -> Surroundings:
        source = instance.transfer_syntax_uid
        spans = [table.span(number) for number in range(1, table.count + 1)]
        is_native = isinstance(table, NativeFrames)
        first = b"" if is_native else next(self._read(instance, table, range(1, 2)))
        pixels = StoredPixels(first, table.count, sum(size - 8 for _, size in spans))
        around = self._around(instance)
        return self._decoders.call(convert_surroundings, around, source, target, pixels)

    def _around(self, instance: StoredInstance) -> tuple[bytes, bytes]:
        """The elements before, and those behind the pixel data."""
        layout = instance.layout
        with header_bytes(self._retrieve, instance) as header:
            before = bytes(header.data[layout.dataset_offset : header.stop])
            return before, bytes(header.data[header.tail :])

    def _frames(
        self, instance: StoredInstance, table: FrameTable, target: str, around: Surroundings
    ) -> Iterator[bytes]:
        source = instance.transfer_syntax_uid
        written = target if target in ENCODABLE else EXPLICIT_VR_LITTLE_ENDIAN
        for frame in self._read(instance, table, range(1, table.count + 1)):
            check_interrupt()
            yield self._decoders.call(
                convert_frame,
                frame,
                source,
                written,
                around.description,
                around.photometric_interpretation,
            )

    def _read(self, instance: StoredInstance, table: FrameTable, numbers: range) -> Iterator[bytes]:
        wanted = [(number, table.span(number)) for number in numbers]
        native = table if isinstance(table, NativeFrames) else None
        return read_frames(self._retrieve, instance, wanted, native)


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
