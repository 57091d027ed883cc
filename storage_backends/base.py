"""The contract of a storage backend, and the values that cross it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, Self, runtime_checkable

from storage_backends.errors import InvalidKey, InvalidRange

KEY_GRAMMAR = re.compile(r"[a-z0-9][a-z0-9_.-]*(?:/[a-z0-9][a-z0-9_.-]*)*")
MAX_KEY_LENGTH = 200


def check_key(key: str) -> str:
    """Return `key`, or raise InvalidKey: lower-case segments joined by '/', 200 characters at most."""
    if len(key) > MAX_KEY_LENGTH or not KEY_GRAMMAR.fullmatch(key):
        raise InvalidKey(f"storage key {key!r} does not match {KEY_GRAMMAR.pattern}")
    return key


class FreshKey(str):
    """A key that was made at random for the object that is put under it: it can't be another's already."""

    __slots__ = ()


def resolve_range(key: str, size: int, start: int, length: int | None) -> tuple[int, int]:
    """Return (start, byte count) inside an object of `size` bytes; a range beyond the end is cut there.

    Raises InvalidRange when it starts behind the end or is negative.
    """
    if start < 0 or start > size or (length is not None and length < 0):
        raise InvalidRange(f"object {key!r} has {size} bytes; asked for {length} from {start}")
    available = size - start
    return start, available if length is None else min(length, available)


@dataclass(frozen=True, slots=True)
class Digest:
    """A named digest of bytes; `value` is lower-case hexadecimal."""

    algorithm: str
    value: str


PROVEN_BY_SOURCE = Digest("source", "")
"""In place of a digest: the source proves its bytes and raises IntegrityError before its end when they are wrong."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a backend knows of one complete object.

    `modified`, seconds since the epoch (UTC), is by the clock of whoever tells it, and counts for no comparison.
    """

    key: str
    size: int
    modified: float = field(compare=False)


@dataclass(frozen=True, slots=True)
class FileSpan:
    """`length` bytes of the open file `fd` from `offset` on."""

    fd: int
    offset: int
    length: int


class ObjectReader(Protocol):
    """A readable stream over exactly the bytes asked for; close it, or use it as a context."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...


class StorageBackend(Protocol):
    """An object store. One instance is shared by every thread."""

    name: str

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """Store `size` bytes of `source`, read from its position, under a new `key`.

        Atomic and durable: after return the whole object survives a crash; after an exception nothing is
        visible. A source may have an attribute `vouched`, the digest of all its bytes as the caller computed it
        from where they lie in memory: equal to `digest` and from position 0 on, the bytes need not be hashed
        again. With PROVEN_BY_SOURCE nothing is left to be compared. Whether a FreshKey is taken need not be
        asked. Raises InvalidKey, ObjectExists, IntegrityError (size or digest differ), BackendFull,
        BackendUnavailable.
        """
        ...

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """Exactly the bytes asked for, cut at the end of the object.

        Raises ObjectNotFound or InvalidRange now, not at the first read.
        """
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Raises ObjectNotFound."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object durably; a missing object is not an error."""
        ...

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Complete objects whose key starts with `prefix` and sorts after `after`, by key, streaming."""
        ...

    def probe(self) -> None:
        """Write, read and remove a small object of its own; raises what a `put` would raise."""
        ...

    def close(self) -> None:
        """Release connections and handles; a second call does nothing."""
        ...


@runtime_checkable
class SupportsSpan(Protocol):
    """A reader whose bytes may lie in a file of this machine, where the kernel can send them from."""

    def span(self) -> FileSpan | None:
        """All that was not read yet, and counts as read then; None where it lies in no file.

        The descriptor is the reader's: it is open until that is closed. Who uses the span finds the file too short
        where its bytes were cut off meanwhile.
        """
        ...


def span_of(reader: ObjectReader) -> FileSpan | None:
    """What `reader` has left as a part of a file, None where it can't tell."""
    # To look at a method costs a thirtieth of asking whether there is the protocol.
    find: Callable[[], FileSpan | None] | None = getattr(reader, "span", None)
    return None if find is None else find()


@runtime_checkable
class SupportsAdopt(Protocol):
    """A backend that can take over a finished file of the same file system without copying it."""

    def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
        """Make the file at `path` the object `key`; as atomic and durable as `put`, and `path` is gone after it.

        The caller vouches for `digest` (it was computed as the bytes were written). When `path` lies on
        another file system the bytes are copied. Raises what `put` raises; `path` stays then.
        """
        ...


@runtime_checkable
class SupportsAdoptSealed(Protocol):
    """A backend that can take over a finished file of sealed bytes, see encryption.files, as it lies there."""

    def adopt_sealed(
        self, key: str, path: Path, data_key: bytes, *, size: int, digest: Digest
    ) -> ObjectInfo:
        """Make the file at `path` the object `key`, whose header is written into the room that is left for it.

        `size` and `digest` are of the plain bytes; the caller vouches for them, and that no other object has
        `data_key`. Else as SupportsAdopt.adopt; a file that stays may have a header.
        """
        ...


@runtime_checkable
class SupportsPresign(Protocol):
    """A backend whose objects a client can fetch itself for a while, without credentials."""

    def presign(self, key: str, *, seconds: int) -> str:
        """An URL under which `key` can be fetched for `seconds` (at most a week), whether or not it is there.

        Raises InvalidKey, BackendUnavailable.
        """
        ...
