"""Reads spans of a stored object by the positions of its layout: inflated, swapped, or without item headers."""

from __future__ import annotations

import struct
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

from vna.dicom.decode import PixelDescription
from vna.dicom.deflate import Inflation
from vna.dicom.encode_values import swap_words
from vna.errors import Corrupt, Unsupported
from vna.model.instances import StoredInstance
from vna.services.header_bytes import IN_MEMORY, is_deflated
from vna.services.retrieve import RetrieveService

Read = Callable[[int, int], bytes]
"""(start, length) -> the bytes there, fewer at the end of what there is."""

_ITEM = 0xFFFEE000
_WINDOW = 64 * 2**10


def layout_reader(retrieve: RetrieveService, instance: StoredInstance, max_bytes: int) -> Read:
    """Bytes at positions of the layout; of a deflated dataset up to `max_bytes`.

    The reader raises Corrupt where a deflated dataset is damaged, Unsupported behind `max_bytes`.
    """
    if not is_deflated(instance):
        return lambda start, length: retrieve.read(instance, start, length)
    stored = whole_object(retrieve, instance, max_bytes)
    base = instance.layout.dataset_offset
    inflated = _Inflated(Inflation(stored, base, max_bytes))

    def read(start: int, length: int) -> bytes:
        data = inflated.read(start - base, length)
        if len(data) == length or inflated.is_whole:
            return data
        name = f"the deflated dataset of instance {instance.uids.sop_instance_uid}"
        if inflated.is_damaged:
            raise Corrupt(f"{name} breaks off after {inflated.size} bytes")
        raise Unsupported(
            f"{name} is larger than archive.max_transcode_bytes allows to inflate; it can be had as stored"
        )

    return read


class _Inflated:
    """An inflated dataset: in memory when it is short, else in a file that goes when this does."""

    def __init__(self, inflation: Inflation) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - its owner is not a block
        self._file.writelines(inflation)
        self.size = self._file.tell()
        self.is_whole, self.is_damaged = inflation.is_whole, inflation.is_damaged

    def read(self, start: int, length: int) -> bytes:
        self._file.seek(start)
        return self._file.read(length)

    def __del__(self) -> None:
        self._file.close()


def whole_object(retrieve: RetrieveService, instance: StoredInstance, max_bytes: int) -> memoryview:
    """The stored bytes, verified. Raises Unsupported when they are more than `max_bytes`, Corrupt, Unavailable."""
    check_size(instance, max_bytes)
    return retrieve.load_whole(instance)


def check_size(instance: StoredInstance, max_bytes: int) -> None:
    """Raises Unsupported when the stored object has more than `max_bytes`."""
    if instance.location.length > max_bytes:
        raise Unsupported(
            f"instance {instance.uids.sop_instance_uid} has {instance.location.length} bytes, "
            f"more than archive.max_transcode_bytes allows to convert; it can be had as stored"
        )


def check_frame_size(description: PixelDescription, max_bytes: int) -> None:
    """Raises Unsupported when a frame, as its header declares it, has more than `max_bytes`."""
    if description.frame_bytes > max_bytes:
        raise Unsupported(
            f"its header declares frames of {description.frame_bytes} bytes, "
            "more than archive.max_transcode_bytes allows to decode"
        )


def swapped_reader(read: Read, span: tuple[int, int], word: int) -> Read:
    """`read`, where words of `word` bytes from the start of `span` (offset, length) are reversed.

    Any part of the span may be asked for: it is widened to whole words and cut again.
    """
    base, size = span

    def swapped(start: int, length: int) -> bytes:
        lead = (start - base) % word
        first, stop = start - lead, min(start + length, base + size)
        rounded = min(first + -(-(stop - first) // word) * word, base + size)
        return swap_words(read(first, max(0, rounded - first)), word)[lead : lead + length]

    return swapped if word > 1 else read


def fragments_reader(read: Read, span: tuple[int, int]) -> tuple[int, Read]:
    """The fragments in `span` (offset, length) of encapsulated pixel data as one run of bytes: its
    length, and a reader of it from 0. The offset table, which is the first item, does not count.
    """
    fragments = list(_items(read, span))[1:]
    ends = list(accumulate(length for _, length in fragments))
    total = ends[-1] if ends else 0

    def joined(start: int, length: int) -> bytes:
        parts: list[bytes] = []
        stop = min(start + length, total)
        while start < stop:
            number = bisect_right(ends, start)
            offset, size = fragments[number]
            inside = start - (ends[number] - size)
            take = min(size - inside, stop - start)
            parts.append(read(offset + inside, take))
            start += take
        return b"".join(parts)

    return total, joined


def _items(read: Read, span: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """(offset, length) of the value of each item; headers are read a window at a time."""
    position, end = span[0], sum(span)
    window, origin = b"", position
    while position + 8 <= end:
        if not origin <= position <= origin + len(window) - 8:
            window, origin = read(position, min(_WINDOW, end - position)), position
            if len(window) < 8:
                return
        group, number, length = struct.unpack_from("<HHI", window, position - origin)
        if group << 16 | number != _ITEM:
            return
        yield position + 8, min(length, end - position - 8)
        position += 8 + length
