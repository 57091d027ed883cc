"""An instance and the places of some of its frames, in one round trip."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from vna.index.database import Database
from vna.index.selections import stored_instance
from vna.index.sql import load
from vna.model.found_frames import FoundFrames
from vna.model.frames import NativeFrames
from vna.model.identifiers import InstanceUids

_COLUMNS = 18
_ENTRY = struct.Struct("<2Q")
_NATIVE, _NATIVE_TABLE = b"N", struct.Struct("<4Q")
_MAX_NUMBER = 2**27
_WHOLE_BYTES, _FEW = 64 * 2**10, 8
"""A table up to that size is fetched whole; a longer one too when more than a few frames are wanted."""


class FramePlaces:
    """Finds frames. Shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, uids: InstanceUids, numbers: Sequence[int]) -> FoundFrames | None:
        """The frames with these `numbers` (from 1); None: no such instance. Raises Unavailable."""
        whole = _WHOLE_BYTES if len(numbers) <= _FEW else 2**31 - 1
        values = (
            whole,
            [min(number, _MAX_NUMBER) for number in numbers],
            uids.sop_instance_uid,
            uids.series_instance_uid,
            uids.study_instance_uid,
        )
        row = self._database.attempt(
            lambda c: c.execute(load("queries/find_frames"), values, binary=True).fetchone()
        )
        return None if row is None else _found(row, tuple(numbers))


def _found(row: Sequence[Any], numbers: tuple[int, ...]) -> FoundFrames:
    bits, length, table, entries = row[_COLUMNS:]
    instance = stored_instance(row[:_COLUMNS])
    count, native = 0, None
    if table is not None:
        count = length // 8 - 1
        if table[:1] == _NATIVE:
            native = NativeFrames(*_NATIVE_TABLE.unpack_from(table, 1))
            count = native.count
    spans: tuple[tuple[int, int], ...] = ()
    if count and max(numbers) <= count:
        spans = tuple(_spans(table, entries, native, numbers))
    allocated = int(bits) if bits and bits.isdecimal() else 0
    return FoundFrames(instance, allocated, count, numbers, spans, native)


def _spans(
    table: bytes,
    entries: Sequence[bytes] | None,
    native: NativeFrames | None,
    numbers: Sequence[int],
) -> list[tuple[int, int]]:
    if native is not None:
        return [native.span(number) for number in numbers]
    if entries is None:
        entries = [table[8 * number - 7 : 8 * number + 9] for number in numbers]
    bounds = [_ENTRY.unpack(entry) for entry in entries]
    return [(start, stop - start) for start, stop in bounds]
