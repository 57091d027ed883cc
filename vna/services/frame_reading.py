"""Frames of stored objects as they lie there, neighbours read together."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence

from storage_backends.base import FileSpan
from vna.dicom.codestream import split_items
from vna.dicom.native import native_frame
from vna.errors import Unavailable
from vna.model.frames import NativeFrames
from vna.model.instances import StoredInstance
from vna.services.retrieve import RetrieveService, read_fully

_RUN_BYTES = 4 * 2**20
_ITEM, _ITEM_HEAD = b"\xfe\xff\x00\xe0", 8

Span = tuple[int, int]


def read_frames(
    retrieve: RetrieveService,
    instance: StoredInstance,
    wanted: Sequence[tuple[int, Span]],
    native: NativeFrames | None,
) -> Iterator[bytes]:
    """The frames of `wanted` (number, span of the object) in that order, as they are taken: `native`
    ones cut out, of others the fragments joined. Raises Corrupt, Unavailable.
    """
    data = _spans(retrieve, instance, [span for _, span in wanted])
    for (number, _), found in zip(wanted, data, strict=True):
        yield cut_frame(found, number, native)


def cut_frame(found: bytes | memoryview, number: int, native: NativeFrames | None) -> bytes:
    """The frame that lies in `found`: a `native` one cut out, of others the fragments joined. Raises Corrupt."""
    if native is not None:
        return native_frame(found, native, number)
    return b"".join(split_items(found))


def only_fragment(span: FileSpan) -> FileSpan | None:
    """The value of the one item that fills `span`; None when there are more, or others. Raises Unavailable."""
    try:
        head = os.pread(span.fd, _ITEM_HEAD, span.offset)
    except OSError as exc:
        raise Unavailable(f"the storage does not answer: {exc.strerror}") from exc
    length = span.length - _ITEM_HEAD
    if head != _ITEM + struct.pack("<I", max(0, length)):
        return None
    return FileSpan(span.fd, span.offset + _ITEM_HEAD, length)


def _spans(
    retrieve: RetrieveService, instance: StoredInstance, spans: Sequence[Span]
) -> Iterator[bytes | memoryview]:
    for run in _runs(spans):
        start, stop = run[0][0], max(first + length for first, length in run)
        with retrieve.open(instance, start=start, length=stop - start) as reader:
            data = read_fully(reader)
        if len(run) == 1:
            yield data
            continue
        view = memoryview(data)
        for first, length in run:
            yield view[first - start : first - start + length]


def _runs(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """`spans` in their order, in runs that adjoin and are not too long."""
    run: list[Span] = []
    end = size = 0
    for start, length in spans:
        adjoins = bool(run) and run[-1][0] <= start <= end
        if run and (not adjoins or size + length > _RUN_BYTES):
            yield run
            run, size = [], 0
        run.append((start, length))
        end, size = start + length, size + length
    if run:
        yield run
