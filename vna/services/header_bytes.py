"""The bytes of a stored instance around its pixel data, in memory when few and mapped when many."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from storage_backends.base import ObjectReader
from vna.dicom.deflate import MAX_HEADER_BYTES
from vna.dicom.envelope import DEFLATED_UIDS
from vna.dicom.inflation import inflated_pieces
from vna.dicom.json import ElementSpan, find_element
from vna.dicom.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from vna.errors import Unsupported
from vna.model.instances import StoredInstance
from vna.services.retrieve import RetrieveService

PIXEL_HEADER = 16
"""Bytes behind the header that show the pixel data element's own tag, VR and length."""

IN_MEMORY = 16 * 2**20
MAX_INFLATED = 2**30
"""How far a deflated dataset is read for what stands behind its pixel data."""

_CHUNK = 2**20
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HeaderBytes:
    """The object without its pixel data: `data` is the header, the head of the pixel data element,
    and from `tail` on what stands behind the pixel data; inflated.

    `is_whole`: nothing behind the pixel data is missing. `transfer_syntax_uid`: that of `data`.
    """

    data: memoryview
    tail: int
    is_whole: bool
    transfer_syntax_uid: str

    def position(self, offset: int, instance: StoredInstance) -> int:
        """The position in the layout of `instance` of what is at `offset` of `data`."""
        return offset if offset < self.tail else offset - self.tail + instance.layout.tail_offset

    def find(self, instance: StoredInstance, path: str) -> ElementSpan:
        """Where in `data` the value lies that `path` means. Raises NotFound, Unsupported."""
        layout = instance.layout
        found = find_element(
            self.data,
            dataset_offset=layout.dataset_offset,
            transfer_syntax_uid=self.transfer_syntax_uid,
            path=path,
            stop=layout.header_length,
            tail=self.tail if layout.pixel_offset >= 0 else None,
        )
        read = layout.dataset_offset + MAX_HEADER_BYTES
        if is_deflated(instance) and found.offset < read <= found.offset + found.length:
            raise Unsupported(
                f"{path[:80]!r} goes on behind the {MAX_HEADER_BYTES} bytes that are inflated of a header; "
                "the instance can be had as stored"
            )
        return found


def is_deflated(instance: StoredInstance) -> bool:
    """Whether positions of its layout are positions in the inflated dataset."""
    return instance.transfer_syntax_uid in DEFLATED_UIDS


@contextmanager
def header_bytes(retrieve: RetrieveService, instance: StoredInstance) -> Iterator[HeaderBytes]:
    """Everything but the pixel data of an object. Raises Corrupt, Unavailable."""
    spans = _spans(instance)
    progress = _Progress()
    if is_deflated(instance):
        pieces, syntax = (
            _inflated_spans(retrieve, instance, spans, progress),
            EXPLICIT_VR_LITTLE_ENDIAN,
        )
    else:
        pieces, syntax = _stored_spans(retrieve, instance, spans), instance.transfer_syntax_uid
    with closing(pieces), _gathered(pieces) as data:
        tail = min(spans[0][1], len(data))
        yield HeaderBytes(data, tail, progress.is_whole, syntax)


@dataclass(slots=True)
class _Progress:
    is_whole: bool = True


def _spans(instance: StoredInstance) -> list[Span]:
    """Header and tail, in positions of the layout."""
    layout = instance.layout
    if layout.pixel_offset < 0:
        return [(0, layout.header_length)]
    end = instance.location.length if not is_deflated(instance) else MAX_INFLATED
    header = min(layout.header_length + PIXEL_HEADER, layout.tail_offset)
    return [(0, header), *([(layout.tail_offset, end)] if layout.tail_offset < end else [])]


def _stored_spans(
    retrieve: RetrieveService, instance: StoredInstance, spans: Iterable[Span]
) -> Generator[bytes, None, None]:
    for start, stop in spans:
        with retrieve.open(instance, start=start, length=stop - start) as reader:
            yield from chunks(reader)


def _inflated_spans(
    retrieve: RetrieveService, instance: StoredInstance, spans: list[Span], progress: _Progress
) -> Generator[bytes, None, None]:
    position, start = 0, instance.layout.dataset_offset
    with retrieve.open(instance) as reader:
        meta = reader.read(start) if start else b""
        for piece in _with_first(meta, inflated_pieces(chunks(reader))):
            end = position + len(piece)
            for first, stop in spans:
                if first < end and position < stop:
                    yield piece[max(0, first - position) : stop - position]
            position = end
            if position >= spans[-1][1]:
                progress.is_whole = position < MAX_INFLATED
                return


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


@contextmanager
def _gathered(pieces: Iterator[bytes]) -> Iterator[memoryview]:
    """All `pieces` one behind the other; in a mapped file when they are more than IN_MEMORY bytes."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size > IN_MEMORY:
            break
    else:
        yield memoryview(b"".join(held))
        return
    with _mapped(held, pieces) as view:
        yield view


@contextmanager
def _mapped(held: list[bytes], rest: Iterator[bytes]) -> Iterator[memoryview]:
    with tempfile.TemporaryFile() as file:
        file.writelines(held)
        held.clear()
        file.writelines(rest)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                yield view
            finally:
                view.release()


def chunks(reader: ObjectReader) -> Iterator[bytes]:
    """Everything of `reader`, piece by piece."""
    while chunk := reader.read(_CHUNK):
        yield chunk
