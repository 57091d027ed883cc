"""Parts of stored instances as instances of their own: without bulk data, or some frames of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vna.dicom.bulk_data import without_bulk_data
from vna.dicom.extraction import extract_frames, source_of
from vna.dicom.frame_keys import ExtractionFailed, FrameKeys
from vna.dicom.syntaxes import DEFLATED_EXPLICIT_VR, EXPLICIT_VR_LITTLE_ENDIAN
from vna.model.instances import InstanceLayout, StoredInstance
from vna.services.header_bytes import PIXEL_HEADER, HeaderBytes, header_bytes, is_deflated
from vna.services.reading import layout_reader
from vna.services.retrieve import RetrieveService


@dataclass(frozen=True, slots=True)
class Extract:
    """A new instance: as `instance` describes it, with its dataset in the transfer syntax named there."""

    instance: StoredInstance
    dataset: bytes


class ExtractService:
    """Makes new datasets of stored ones; `max_bytes` bounds what is held of one."""

    def __init__(self, retrieve: RetrieveService, max_bytes: int) -> None:
        self._retrieve, self._max_bytes = retrieve, max_bytes

    def without_bulk_data(self, instance: StoredInstance, transfer_syntax_uid: str) -> bytes:
        """The dataset without what PS3.4 Z.1.3 leaves out; the pixel data is not even read.

        In an uncompressed syntax, or for the encoding of the stored one. Raises Unsupported, Corrupt,
        Unavailable.
        """
        with header_bytes(self._retrieve, instance) as header:
            parts = _around_pixels(header, instance)
            syntax = header.transfer_syntax_uid
            return without_bulk_data(parts, syntax, transfer_syntax_uid)

    def frames(self, instance: StoredInstance, keys: FrameKeys) -> Extract:
        """A new instance of the frames that `keys` name (PS3.4 Y.3.3), in the stored syntax; of
        deflated ones in explicit little endian.

        Raises ExtractionError's children, Corrupt, Unavailable.
        """
        table = self._retrieve.frame_table(instance)
        with header_bytes(self._retrieve, instance) as header:
            elements = bytes(_around_pixels(header, instance)[0])
            head = bytes(header.data[header.stop : header.tail])
            if table is None or len(head) < PIXEL_HEADER // 2:
                raise ExtractionFailed("its frames can't be told apart")
            source = source_of(elements, head, header.transfer_syntax_uid)
        numbers = keys.numbers(source.frame_times, table.count)
        size = sum(table.span(number)[1] for number in numbers)
        if size > self._max_bytes:
            raise ExtractionFailed(f"{size} bytes are more than archive.max_transcode_bytes allows")
        self._retrieve.verify(instance)  # the new instance has a digest of its own
        read = layout_reader(self._retrieve, instance, self._max_bytes)
        frames = [read(*table.span(number)) for number in numbers]
        uid, dataset = extract_frames(source, keys, numbers, table, frames)
        syntax = (
            EXPLICIT_VR_LITTLE_ENDIAN if is_deflated(instance) else instance.transfer_syntax_uid
        )
        extracted = replace(
            instance,
            uids=replace(instance.uids, sop_instance_uid=uid),
            transfer_syntax_uid=syntax,
            number_of_frames=len(numbers),
            correction=None,
            layout=InstanceLayout(0, len(dataset), -1, 0, len(dataset)),
        )
        return Extract(extracted, dataset)


def _around_pixels(header: HeaderBytes, instance: StoredInstance) -> tuple[memoryview, memoryview]:
    """The elements before, and those behind the pixel data."""
    layout = instance.layout
    stop = header.stop if layout.pixel_offset >= 0 else header.tail
    return header.data[layout.dataset_offset : stop], header.data[header.tail :]


def syntaxes_without_bulk_data(transfer_syntax_uid: str, plain: tuple[str, ...]) -> tuple[str, ...]:
    """In which syntaxes a dataset without bulk data can be sent: without pixel data, a dataset in a
    compressed syntax is one in explicit little endian.
    """
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR:
        return plain
    return (*plain, transfer_syntax_uid)
