"""A backend around a backend that repeats calls which failed for a transient reason."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from storage_backends.base import (
    PROVEN_BY_SOURCE,
    Digest,
    FileSpan,
    ObjectInfo,
    ObjectReader,
    StorageBackend,
    SupportsAdopt,
    SupportsAdoptSealed,
)
from storage_backends.digests import new_hasher
from storage_backends.errors import BackendFull, ObjectExists, StorageError
from storage_backends.wrapping import WrappedSpanReader, WrappingBackend

_T = TypeVar("_T")
_CHUNK = 2**20


class RetryingBackend(WrappingBackend):
    """Repeats what failed with a transient error, after a growing and jittered delay (seconds).

    A full store is reported at once: waiting a moment makes no room. A `put` is repeated only if
    its source can be rewound. When a repeated `put` finds its key taken by the very same bytes, the
    earlier attempt had succeeded. A reader goes on where it broke off, a scan behind the last key.
    """

    def __init__(
        self,
        inner: StorageBackend,
        *,
        attempts: int = 4,
        base_delay: float = 0.05,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if attempts < 1:
            raise ValueError("at least one attempt is needed")
        super().__init__(inner)
        self._attempts, self._base_delay, self._sleep = attempts, base_delay, sleep

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """See StorageBackend.put."""
        if not source.seekable():
            return self._inner.put(key, source, size=size, digest=digest)
        position = source.tell()

        def rewind_and_put() -> ObjectInfo:
            source.seek(position)
            return self._inner.put(key, source, size=size, digest=digest)

        return self._write(key, size, digest, rewind_and_put)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """See StorageBackend.open."""
        return _ResumingReader(self, key, start, length)

    def stat(self, key: str) -> ObjectInfo:
        """See StorageBackend.stat."""
        return self.call(lambda: self._inner.stat(key))

    def delete(self, key: str) -> None:
        """See StorageBackend.delete."""
        self.call(lambda: self._inner.delete(key))

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """See StorageBackend.scan."""
        failures = 0
        while True:
            try:
                for info in self._inner.scan(prefix, after=after):
                    after, failures = info.key, 0
                    yield info
            except StorageError as exc:
                failures += 1
                self.pause_or_raise(exc, failures)
            else:
                return

    def probe(self) -> None:
        """See StorageBackend.probe; not repeated: a probe asks how things are now."""
        self._inner.probe()

    def open_once(self, key: str, start: int, length: int | None) -> ObjectReader:
        """The inner backend's reader, opened with repetition."""
        return self.call(lambda: self._inner.open(key, start=start, length=length))

    def call(self, operation: Callable[[], _T]) -> _T:
        """Run `operation` until it succeeds, fails for good, or the attempts are used up."""
        failures = 0
        while True:
            try:
                return operation()
            except StorageError as exc:
                failures += 1
                self.pause_or_raise(exc, failures)

    def pause_or_raise(self, error: StorageError, failures: int) -> None:
        """Wait before the next attempt; raise `error` when there is none."""
        if not error.transient or isinstance(error, BackendFull) or failures >= self._attempts:
            raise error
        self._sleep(self._base_delay * 2 ** (failures - 1) * random.uniform(0.5, 1.0))  # noqa: S311

    def adopted(
        self,
        key: str,
        path: Path,
        announced: tuple[int, Digest],
        take: Callable[[], ObjectInfo],
    ) -> ObjectInfo:
        """What `take` gives, which takes the file at `path` over, repeated as a `put` is; the file is gone then."""
        attempts = count()

        def take_what_is_there() -> ObjectInfo:
            if next(attempts) and not path.exists():
                raise ObjectExists(f"{self.name}: {key!r} was taken over by an earlier attempt")
            return take()

        info = self._write(key, *announced, take_what_is_there)
        path.unlink(missing_ok=True)
        return info

    def _write(
        self, key: str, size: int, digest: Digest, operation: Callable[[], ObjectInfo]
    ) -> ObjectInfo:
        failures = 0
        while True:
            try:
                return operation()
            except ObjectExists:
                if failures and self._is_ours(key, size, digest):
                    return self.stat(key)
                raise
            except StorageError as exc:
                failures += 1
                self.pause_or_raise(exc, failures)

    def _is_ours(self, key: str, size: int, digest: Digest) -> bool:
        if digest == PROVEN_BY_SOURCE:
            return False
        hasher, seen = new_hasher(digest.algorithm), 0
        with self.open(key) as reader:
            while chunk := reader.read(_CHUNK):
                hasher.update(chunk)
                seen += len(chunk)
        return seen == size and hasher.hexdigest() == digest.value


class _RetryingAdopter(RetryingBackend):
    """The same around a backend that takes over files."""

    def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
        """See SupportsAdopt.adopt."""
        inner = cast("SupportsAdopt", self._inner)
        take = partial(inner.adopt, key, path, size=size, digest=digest)
        return self.adopted(key, path, (size, digest), take)


class _RetryingSealedAdopter(RetryingBackend):
    """The same around a backend that takes over sealed files."""

    def adopt_sealed(
        self, key: str, path: Path, data_key: bytes, *, size: int, digest: Digest
    ) -> ObjectInfo:
        """See SupportsAdoptSealed.adopt_sealed."""
        inner = cast("SupportsAdoptSealed", self._inner)
        take = partial(inner.adopt_sealed, key, path, data_key, size=size, digest=digest)
        return self.adopted(key, path, (size, digest), take)


RetryingBackend.adopter = _RetryingAdopter
RetryingBackend.sealed_adopter = _RetryingSealedAdopter


class _ResumingReader(WrappedSpanReader):
    """A stream that is opened again at its position when a read fails for a transient reason."""

    def __init__(self, backend: RetryingBackend, key: str, start: int, length: int | None) -> None:
        super().__init__(backend.open_once(key, start, length))
        self._backend, self._key = backend, key
        self._position, self._left = start, length
        self._failures = 0

    def read(self, size: int = -1, /) -> bytes:
        """As the inner reader's, resumed where it broke off."""
        while True:
            try:
                data = self._inner.read(size)
            except StorageError as exc:
                self._failures += 1
                self._backend.pause_or_raise(exc, self._failures)
                self._inner.close()
                self._inner = self._backend.open_once(self._key, self._position, self._left)
            else:
                self._failures = 0
                self._position += len(data)
                if self._left is not None:
                    self._left -= len(data)
                return data

    def span(self) -> FileSpan | None:
        """As the inner reader's."""
        found = super().span()
        if found is not None:
            self._position += found.length
            self._left = 0
        return found
