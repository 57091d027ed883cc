"""The storage backends as the services use them: by name, with their errors in the archive's own words."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import BinaryIO, cast

from storage_backends.base import (
    Digest,
    FileSpan,
    FreshKey,
    ObjectInfo,
    ObjectReader,
    StorageBackend,
    SupportsAdopt,
    SupportsAdoptSealed,
    span_of,
)
from storage_backends.digests import digest_of, new_hasher
from storage_backends.errors import (
    BackendFull,
    BackendReadOnly,
    IntegrityError,
    InvalidRange,
    ObjectNotFound,
    StorageError,
)
from storage_backends.wrapping import WrappedReader
from vna.errors import ConfigError, Corrupt, OutOfSpace, Unavailable, VnaError
from vna.model.instances import Location
from vna.model.keys import new_object_key
from vna.services.doubts import Doubts
from vna.spool import Spooled

_CHUNK = 2**20


@contextmanager
def storage_errors() -> Iterator[None]:
    """Translate StorageError into VnaError."""
    try:
        yield
    except StorageError as exc:
        raise translate(exc) from exc


def translate(error: StorageError) -> VnaError:
    """The archive's word for a storage error."""
    match error:
        case BackendReadOnly():
            return OutOfSpace(f"the storage can't be written: {error}; make it writable")
        case BackendFull():
            return OutOfSpace(
                f"no room left to store: {error}; make room or add storage, then send again"
            )
        case ObjectNotFound():
            return Corrupt(
                f"{error}, although the index names it; restore it, or send the instance again"
            )
        case InvalidRange():  # positions come from the index
            return Corrupt(f"{error}: it was cut short; restore it, or send the instance again")
        case IntegrityError():
            return Corrupt(str(error))
        case _:
            return Unavailable(f"the storage does not answer: {error}")


class Condition(StrEnum):
    """How an object that the index names is found."""

    INTACT = "intact"
    MISSING = "missing"
    CORRUPT = "corrupt"
    UNREADABLE = "unreadable"


class StoredReader(WrappedReader):
    """A backend's reader whose errors are the archive's, and which has `due` bytes: fewer are no end but damage."""

    def __init__(self, inner: ObjectReader, due: int, name: str) -> None:
        super().__init__(inner)
        self._left, self._name = due, name

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises Corrupt, Unavailable."""
        try:
            data = self._inner.read(size)
        except StorageError as exc:
            raise translate(exc) from exc
        self._left -= len(data)
        if not data and size and self._left > 0:
            raise self._cut_short()
        return data

    def span(self) -> FileSpan | None:
        """All that was not read yet as a part of an open file, see SupportsSpan; None where it lies in none.
        Raises Corrupt.
        """
        found = span_of(self._inner)
        if found is not None and found.length < self._left:
            raise self._cut_short()
        return found

    def _cut_short(self) -> Corrupt:
        return Corrupt(
            f"stored object {self._name} was cut short; restore it, or send the instance again"
        )


class ObjectStore:
    """Every configured backend, and the one that new objects go to."""

    def __init__(
        self,
        backends: Mapping[str, StorageBackend],
        write_to: str,
        *,
        needed: Sequence[str] = (),
        draining: Collection[str] = (),
        receiving: Collection[str] = (),
    ) -> None:
        """`needed`: the backends without which nothing can be stored; `receiving`: all that get new objects, at
        once or later; `draining`: those that are being emptied.
        """
        if write_to not in backends:
            raise ConfigError(f"storage.backend {write_to!r} is not among {', '.join(backends)}")
        self._backends = backends
        self._needed = [backends[name] for name in needed or (write_to,)]
        self.default = write_to
        self.draining = frozenset(draining)
        self._receiving = frozenset(receiving or needed or (write_to,))
        self.has_several = len(backends) > 1
        self.doubts = Doubts()

    @property
    def adopts(self) -> bool:
        """Whether the default backend takes over files of its file system without copying them."""
        return isinstance(self._backends[self.default], SupportsAdopt)

    def place(self, key: str, size: int, backend: str = "") -> Location:
        """Where a new object of `size` bytes goes under `key`: in the default backend, or in `backend`."""
        return Location(backend or self.default, key, 0, size)

    def write(self, location: Location, source: ObjectReader, digest: Digest) -> None:
        """Make all of `source`, bytes of `digest`, the durable object at `location`, a new place.

        Raises OutOfSpace, Unavailable; Corrupt when the bytes are others; and what reading raises.
        """
        with storage_errors():
            self._backend(location).put(
                FreshKey(location.key),
                cast("BinaryIO", source),
                size=location.length,
                digest=digest,
            )

    def keep(self, spooled: Spooled, location: Location, *, adopts: bool = True) -> None:
        """Make `spooled` the durable object at `location`, a new place. Raises OutOfSpace, Unavailable, Corrupt.

        `adopts`: a file of the spool becomes the object where it can; it is not there for others then.
        """
        backend, key = self._backend(location), FreshKey(location.key)
        path, size, digest = spooled.path if adopts else None, spooled.size, spooled.digest
        with storage_errors():
            if path and spooled.data_key and isinstance(backend, SupportsAdoptSealed):
                backend.adopt_sealed(key, path, spooled.data_key, size=size, digest=digest)
            elif path and not spooled.data_key and isinstance(backend, SupportsAdopt):
                backend.adopt(key, path, size=size, digest=digest)
            else:
                with spooled.open() as source:
                    backend.put(key, source, size=size, digest=digest)

    def open(
        self, location: Location, *, start: int = 0, length: int | None = None
    ) -> ObjectReader:
        """The bytes of `location` from `start` on, cut at its end. Raises Corrupt, Unavailable."""
        available = location.length - start
        length = max(0, available if length is None else min(length, available))
        with storage_errors():
            reader = self._backend(location).open(
                location.key, start=location.offset + start, length=length
            )
        return StoredReader(reader, length, location.key)

    @property
    def names(self) -> tuple[str, ...]:
        """The backends, in the order of their names."""
        return tuple(sorted(self._backends))

    def scan(self, name: str, after: str = "") -> Iterator[ObjectInfo]:
        """The objects of the backend `name` behind the key `after`, by key. Raises Unavailable."""
        with storage_errors():
            yield from self._backends[name].scan(after=after)

    def examine(
        self, location: Location, digest: Digest | None, pace: Callable[[int], object]
    ) -> Condition:
        """How the bytes of `location` are; without `digest` only whether as many as there should be are there.

        `pace` is called with the bytes of each read.
        """
        hasher = None if digest is None else new_hasher(digest.algorithm)
        try:
            backend = self._backend(location)
            if hasher is None or digest is None:
                size = backend.stat(location.key).size
                is_whole = size >= location.offset + location.length
                return Condition.INTACT if is_whole else Condition.CORRUPT
            with backend.open(
                location.key, start=location.offset, length=location.length
            ) as reader:
                while chunk := reader.read(_CHUNK):
                    hasher.update(chunk)
                    pace(len(chunk))
        except ObjectNotFound:
            return Condition.MISSING
        except (IntegrityError, InvalidRange):
            return Condition.CORRUPT
        except (StorageError, Unavailable):
            return Condition.UNREADABLE
        return Condition.INTACT if hasher.hexdigest() == digest.value else Condition.CORRUPT

    def is_intact(self, location: Location, digest: Digest) -> bool:
        """Whether the object is there and its bytes are those of `digest`. Raises Unavailable when it can't be read."""
        hasher = new_hasher(digest.algorithm)
        try:
            with self.open(location) as reader:
                while chunk := reader.read(_CHUNK):
                    hasher.update(chunk)
        except Corrupt:
            return False
        return bool(hasher.hexdigest() == digest.value)

    def modified(self, location: Location) -> float:
        """When the object was written, in seconds since the epoch. Raises Corrupt, Unavailable."""
        with storage_errors():
            return self._backend(location).stat(location.key).modified

    def is_one_place(self, one: str, other: str) -> bool:
        """Whether two backends are one: what is written to `one` lies in `other`. Raises OutOfSpace, Unavailable."""
        trial, data = self.place(new_object_key(), 1, one), b"?"
        there = replace(trial, backend=other)
        self.write(trial, cast("ObjectReader", io.BytesIO(data)), digest_of(data))
        try:
            return self.examine(there, None, lambda _: None) is not Condition.MISSING
        finally:
            self.remove(trial)

    def remove(self, location: Location) -> None:
        """Delete an object that no index row names. Raises Unavailable."""
        with storage_errors():
            self._backend(location).delete(location.key)

    def probe(self) -> None:
        """Raises OutOfSpace or Unavailable when nothing could be stored now."""
        with storage_errors():
            for backend in self._needed:
                backend.probe()

    def probe_one(self, name: str) -> None:
        """Raises OutOfSpace or Unavailable when the backend `name` can't be written, or can't be read where it gets
        no new objects.
        """
        with storage_errors():
            if name in self._receiving:
                self._backends[name].probe()
            else:
                next(iter(self._backends[name].scan()), None)

    def close(self) -> None:
        """Close every backend."""
        for backend in self._backends.values():
            backend.close()

    def _backend(self, location: Location) -> StorageBackend:
        try:
            return self._backends[location.backend]
        except KeyError as exc:
            raise Unavailable(
                f"object {location.key} lies in backend {location.backend!r}, which is not configured"
            ) from exc
