"""The bytes of a stored instance around its pixel data, in memory when few and mapped when many."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from storage_backends.base import ObjectReader
from vna.dicom.correcting import StoredHeader
from vna.dicom.deflate import MAX_HEADER_BYTES
from vna.dicom.element_writer import Buffer
from vna.dicom.envelope import DEFLATED_UIDS
from vna.dicom.inflation import inflated_pieces
from vna.dicom.json import ElementSpan, find_element
from vna.dicom.splices import Splices
from vna.dicom.syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from vna.errors import Unsupported
from vna.model.instances import StoredInstance

PIXEL_HEADER = 16
"""Bytes behind the header that show the pixel data element's own tag, VR and length."""

IN_MEMORY = 16 * 2**20
MAX_INFLATED = 2**30
"""How far a deflated dataset is read for what stands behind its pixel data."""

_CHUNK = 2**20
Span = tuple[int, int]


class HeaderSource(Protocol):
    """Where stored bytes are read, and what is changed in them on their way out: see RetrieveService."""

    def open(
        self, instance: StoredInstance, *, start: int = 0, length: int | None = None
    ) -> ObjectReader: ...
    def splices(
        self, instance: StoredInstance, header: StoredHeader | None = None
    ) -> Splices | None: ...


@dataclass(frozen=True, slots=True)
class HeaderBytes:
    """The object without its pixel data: `data` is the header up to `stop`, the head of the pixel data element,
    and from `tail` on what stands behind the pixel data; inflated.

    `is_whole`: nothing behind the pixel data is missing. `transfer_syntax_uid`: that of `data`. `splices`: how it
    differs from what is stored.
    """

    data: memoryview
    stop: int
    tail: int
    is_whole: bool
    transfer_syntax_uid: str
    splices: Splices | None = None

    def position(self, offset: int, instance: StoredInstance) -> int:
        """The position in the layout of `instance` of what is at `offset` of `data`; -1: it is only in `data`."""
        start, offset = (
            (0, offset) if offset < self.tail else (instance.layout.tail_offset, offset - self.tail)
        )
        return start + offset if self.splices is None else self.splices.origin(offset, start)

    def stored(self, instance: StoredInstance) -> StoredHeader:
        """The same, as what a correction is made for; of what is not corrected yet."""
        layout = instance.layout
        return StoredHeader(
            self.data,
            layout.dataset_offset,
            self.stop,
            self.tail if layout.pixel_offset >= 0 else -1,
            layout.tail_offset,
            self.transfer_syntax_uid,
        )

    def find(self, instance: StoredInstance, path: str) -> ElementSpan:
        """Where in `data` the value lies that `path` means. Raises NotFound, Unsupported."""
        layout = instance.layout
        found = find_element(
            self.data,
            dataset_offset=layout.dataset_offset,
            transfer_syntax_uid=self.transfer_syntax_uid,
            path=path,
            stop=self.stop,
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
def header_bytes(retrieve: HeaderSource, instance: StoredInstance) -> Iterator[HeaderBytes]:
    """Everything but the pixel data of an object, corrected. Raises Corrupt, Unavailable."""
    with stored_header_bytes(retrieve, instance) as stored:
        if instance.correction is None:
            yield stored
            return
        splices = retrieve.splices(instance, stored.stored(instance))
        if splices is None:
            raise AssertionError("what has a correction is changed by it")
        before = splices.part(0, stored.tail)
        pieces = _spliced(stored, before, splices, instance.layout.tail_offset)
        with closing(pieces), _gathered(pieces) as data:
            yield HeaderBytes(
                data,
                stored.stop + before.growth,
                stored.tail + before.growth,
                stored.is_whole,
                stored.transfer_syntax_uid,
                splices,
            )


def _spliced(
    stored: HeaderBytes, before: Splices, splices: Splices, tail_offset: int
) -> Generator[Buffer, None, None]:
    """Slices do not outlive this: what they are of may be mapped."""
    with stored.data[: stored.tail] as head:
        yield from before.applied([head])
    with stored.data[stored.tail :] as behind:
        if behind:  # else what is put in at the very end was given already
            yield from splices.applied([behind], tail_offset)


@contextmanager
def stored_header_bytes(retrieve: HeaderSource, instance: StoredInstance) -> Iterator[HeaderBytes]:
    """As `header_bytes`, uncorrected."""
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
        yield HeaderBytes(data, instance.layout.header_length, tail, progress.is_whole, syntax)


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
    retrieve: HeaderSource, instance: StoredInstance, spans: Iterable[Span]
) -> Generator[bytes, None, None]:
    for start, stop in spans:
        with retrieve.open(instance, start=start, length=stop - start) as reader:
            yield from chunks(reader)


def _inflated_spans(
    retrieve: HeaderSource, instance: StoredInstance, spans: list[Span], progress: _Progress
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
def _gathered(pieces: Iterator[Buffer]) -> Iterator[memoryview]:
    """All `pieces` one behind the other; in a mapped file when they are more than IN_MEMORY bytes."""
    held: list[Buffer] = []
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
def _mapped(held: list[Buffer], rest: Iterator[Buffer]) -> Iterator[memoryview]:
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
