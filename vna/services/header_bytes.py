"""The header bytes of a stored instance, fetched by range, in memory when small and mapped when not."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from storage_backends.base import ObjectReader
from vna.dicom.syntaxes import DEFLATED_EXPLICIT_VR
from vna.model.instances import StoredInstance
from vna.services.retrieve import RetrieveService

PIXEL_HEADER = 16
"""Bytes behind the header that show the pixel data element's own tag, VR and length."""

IN_MEMORY = 16 * 2**20
MAX_TAIL = 16 * 2**20
_CHUNK = 2**20


def is_deflated(instance: StoredInstance) -> bool:
    """Whether positions of its layout are positions in the inflated dataset."""
    return instance.transfer_syntax_uid == DEFLATED_EXPLICIT_VR


@contextmanager
def header_bytes(retrieve: RetrieveService, instance: StoredInstance) -> Iterator[memoryview]:
    """The object up to its pixel data and the first bytes of that; a deflated object whole."""
    size = instance.location.length
    length = size if is_deflated(instance) else instance.layout.header_length + PIXEL_HEADER
    with retrieve.open(instance, length=min(size, length)) as reader:
        if min(size, length) <= IN_MEMORY:
            yield memoryview(b"".join(chunks(reader)))
            return
        with tempfile.TemporaryFile() as file:
            for chunk in chunks(reader):
                file.write(chunk)
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                view = memoryview(mapped)
                try:
                    yield view
                finally:
                    view.release()


def tail_bytes(retrieve: RetrieveService, instance: StoredInstance) -> bytes:
    """What stands behind the pixel data, b"" mostly."""
    length = instance.location.length - instance.layout.tail_offset
    if is_deflated(instance) or instance.layout.pixel_offset < 0 or not 0 < length <= MAX_TAIL:
        return b""
    return retrieve.read(instance, instance.layout.tail_offset, length)


def chunks(reader: ObjectReader) -> Iterator[bytes]:
    """Everything of `reader`, piece by piece."""
    while chunk := reader.read(_CHUNK):
        yield chunk
