"""Stored objects with their corrections: bytes that are changed on their way out, and stay as they are stored."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from typing import cast

from storage_backends.base import ObjectReader
from vna.dicom.correcting import StoredHeader, corrected_header
from vna.dicom.element_writer import Buffer
from vna.dicom.inflation import inflated_pieces
from vna.dicom.splices import Splices
from vna.errors import InvalidInstance, Unsupported
from vna.index.corrections import CorrectionIndex
from vna.model.instances import StoredInstance
from vna.recent import Recent
from vna.services.header_bytes import IN_MEMORY, chunks, is_deflated
from vna.services.readers import PiecesReader

__all__ = ["CorrectedObjects", "StoredHeader"]

_MOST_BYTES = 8 * 2**20
_LEVEL = 6


class CorrectedObjects:
    """What corrections change in which objects; those that were used last are remembered, where they were made of
    verified bytes: damage must not outlive its repair. Shared by threads.
    """

    def __init__(self, corrections: CorrectionIndex) -> None:
        self._corrections = corrections
        self._recent: Recent[str, Splices] = Recent(_MOST_BYTES, _cost)

    def find(self, instance: StoredInstance) -> Splices | None:
        """What is changed in it, if that is remembered."""
        return self._recent.get(_key(instance))

    def learn(self, instance: StoredInstance, data: memoryview) -> None:
        """Remember what is changed in an object, of which `data` are all bytes, verified. Raises as `make`."""
        header = _header_of(instance, data)
        if header is not None and self.find(instance) is None:
            self._recent.put(_key(instance), self.make(instance, header))

    def make(self, instance: StoredInstance, header: StoredHeader) -> Splices:
        """What its correction changes. Raises Unsupported, Corrupt where the correction is gone, Unavailable."""
        number = instance.correction
        if number is None:
            raise ValueError("an instance without a correction")
        try:
            return corrected_header(header, self._corrections.find(number)).splices
        except InvalidInstance as exc:
            name = f"instance {instance.uids.sop_instance_uid}"
            raise Unsupported(f"{name} can't be corrected: {exc}") from exc

    def open(
        self, instance: StoredInstance, reader: ObjectReader, start: int, splices: Splices
    ) -> tuple[ObjectReader, int]:
        """What `reader`, which is at `start` of the stored object, gives with these changes, and its length.

        A deflated dataset is deflated anew, before this returns. Raises Unsupported where it is damaged, and what
        `reader` raises.
        """
        if not is_deflated(instance):
            pieces = splices.applied(chunks(reader), start)
            return PiecesReader(pieces, reader), instance.location.length - start + splices.growth
        with reader:
            inflated = inflated_pieces(chunks(reader), is_strict=True)
            return _deflated(splices.applied(inflated, instance.layout.dataset_offset))


def _header_of(instance: StoredInstance, data: memoryview) -> StoredHeader | None:
    """The header in a whole object; None of a deflated one, which has to be inflated."""
    if is_deflated(instance):
        return None
    layout = instance.layout
    tail = layout.tail_offset if layout.pixel_offset >= 0 else -1
    uid = instance.transfer_syntax_uid
    return StoredHeader(data, layout.dataset_offset, layout.header_length, tail, tail, uid)


def _key(instance: StoredInstance) -> str:
    return f"{instance.object_digest.value}.{instance.transfer_syntax_uid}.{instance.correction}"


def _cost(splices: Splices) -> int:
    return splices.size + 100 * len(splices.splices) + 300


def _deflated(pieces: Iterable[Buffer]) -> tuple[ObjectReader, int]:
    """Raw deflate of an even length (PS3.5 A.5), in a file when it is long."""
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the reader's owner closes it
    try:
        file.writelines(_compressed(pieces))
    except BaseException:
        file.close()
        raise
    length = file.tell()
    if length & 1:
        file.write(b"\0")
    file.seek(0)
    return cast("ObjectReader", file), length + (length & 1)


def _compressed(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    for piece in pieces:
        yield stream.compress(piece)
    yield stream.flush()
