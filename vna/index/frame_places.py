"""An instance and the places of some of its frames, in one round trip."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import pq

from vna.index.database import Connection, Database
from vna.index.prepared_texts import PreparedTexts
from vna.index.selections import stored_instance
from vna.index.sql import load
from vna.model.found_frames import FoundFrames
from vna.model.frames import NativeFrames, unpack_frames
from vna.model.identifiers import InstanceUids

_COLUMNS = 19
_ENTRY = struct.Struct("<2Q")
_NATIVE = (b"N", b"n")
_MAX_NUMBER = 2**27
_WHOLE_BYTES, _FEW = 64 * 2**10, 8
"""A table up to that size is fetched whole; a longer one too when more than a few frames are wanted."""
_TEXT, _BINARY = pq.Format.TEXT, pq.Format.BINARY
_FORMATS = (_TEXT, _TEXT, _BINARY, _BINARY, _BINARY)  # text is sent as it is: NUL would end it else


class FramePlaces:
    """Finds frames. Shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        numbers = itertools.count(1)
        text = load("queries/find_frames")
        self._text = re.sub("%s", lambda _: f"${next(numbers)}", text).encode()
        self._texts = PreparedTexts()

    def find(self, uids: InstanceUids, numbers: Sequence[int]) -> FoundFrames | None:
        """The frames with these `numbers` (from 1); None: no such instance. Raises Unavailable."""
        whole = _WHOLE_BYTES if len(numbers) <= _FEW else 2**31 - 1
        asked = b",".join(b"%d" % max(0, min(number, _MAX_NUMBER)) for number in numbers)
        names = (uids.sop_instance_uid, uids.series_instance_uid, uids.study_instance_uid)
        values = [b"%d" % whole, b"{%b}" % asked, *(name.encode() for name in names)]
        row = self._database.attempt(lambda c: self._row(c, values))
        return None if row is None else _found(row, tuple(numbers))

    def _row(self, connection: Connection, values: Sequence[bytes]) -> list[Any] | None:
        """By libpq alone: this is asked thousands of times for a study, and a cursor costs more than Postgres."""
        result = self._texts.run(connection, self._text, values, _FORMATS, _BINARY)
        if not result.ntuples:
            return None
        columns = (result.get_value(0, column) for column in range(result.nfields))
        return [
            None if value is None else make(value)
            for make, value in zip(_MAKE, columns, strict=True)
        ]


def _whole_number(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


_MAKE: tuple[Callable[[bytes], Any], ...] = (
    *(_whole_number, bytes.decode, bytes.decode, bytes.decode, bytes.decode, bytes.decode),
    *(_whole_number, _whole_number, _whole_number, _whole_number, _whole_number, _whole_number),
    *(bytes.decode, bytes.decode, _whole_number, _whole_number, bytes, bytes, _whole_number),
    *(bytes.decode, _whole_number, bytes, bytes),
)
"""What Postgres' binary form of each column of the query means: int8 or int4, text, bytea."""


def _found(row: Sequence[Any], numbers: tuple[int, ...]) -> FoundFrames:
    bits, length, table, entries = row[_COLUMNS:]
    instance = stored_instance(row[:_COLUMNS])
    count = 0
    native: NativeFrames | None = None
    if table is not None:
        count = length // 8 - 1
        native = _native(table)
        if native is not None:
            count = native.count
    spans: tuple[tuple[int, int], ...] = ()
    if count and min(numbers) >= 1 and max(numbers) <= count:
        spans = tuple(_spans(table, entries, native, numbers))
    allocated = int(bits) if bits and bits.isdecimal() else 0
    return FoundFrames(instance, allocated, count, numbers, spans, native)


def _native(table: bytes) -> NativeFrames | None:
    found = unpack_frames(table) if table[:1] in _NATIVE else None
    return found if isinstance(found, NativeFrames) else None


def _spans(
    table: bytes,
    entries: bytes | None,
    native: NativeFrames | None,
    numbers: Sequence[int],
) -> list[tuple[int, int]]:
    if native is not None:
        return [native.span(number) for number in numbers]
    if entries is None:
        entries = b"".join(table[8 * number - 7 : 8 * number + 9] for number in numbers)
    return [(start, stop - start) for start, stop in _ENTRY.iter_unpack(entries)]
