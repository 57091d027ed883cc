"""A backend around a backend that reports each call: how long, how many bytes, which error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from storage_backends.base import (
    Digest,
    FileSpan,
    ObjectInfo,
    ObjectReader,
    StorageBackend,
    SupportsAdopt,
    SupportsAdoptSealed,
)
from storage_backends.wrapping import WrappedSpanReader, WrappingBackend

Observe = Callable[[str, float, int, str], object]
"""Called with operation, seconds, bytes moved, and the error's class name ("" for success)."""


class _Call:
    """How many bytes the call that is being measured has moved."""

    __slots__ = ("moved",)

    def __init__(self) -> None:
        self.moved = 0


class MeteredBackend(WrappingBackend):
    """Reports put, adopt, open, read, stat, delete, scan and probe.

    One "read" is reported per reader, when it is closed, with the seconds spent inside its reads;
    one "scan" per finished or abandoned scan, with the seconds spent producing its entries.
    """

    def __init__(self, inner: StorageBackend, observe: Observe) -> None:
        super().__init__(inner)
        self._observe = observe

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """See StorageBackend.put."""
        with self._measure("put") as call:
            info = self._inner.put(key, source, size=size, digest=digest)
            call.moved = size
        return info

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """See StorageBackend.open."""
        started = time.perf_counter()  # not `_measure`, which costs more than opening a file
        try:
            reader = self._inner.open(key, start=start, length=length)
        except BaseException as exc:
            self._observe("open", time.perf_counter() - started, 0, type(exc).__name__)
            raise
        self._observe("open", time.perf_counter() - started, 0, "")
        return _MeteredReader(reader, self._observe)

    def stat(self, key: str) -> ObjectInfo:
        """See StorageBackend.stat."""
        with self._measure("stat"):
            return self._inner.stat(key)

    def delete(self, key: str) -> None:
        """See StorageBackend.delete."""
        with self._measure("delete"):
            self._inner.delete(key)

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """See StorageBackend.scan."""
        seconds, error = 0.0, ""
        entries = iter(self._inner.scan(prefix, after=after))
        try:
            while True:
                started = time.perf_counter()
                try:
                    info = next(entries, None)
                finally:
                    seconds += time.perf_counter() - started
                if info is None:
                    return
                yield info
        except Exception as exc:
            error = type(exc).__name__
            raise
        finally:
            self._observe("scan", seconds, 0, error)

    def probe(self) -> None:
        """See StorageBackend.probe."""
        with self._measure("probe"):
            self._inner.probe()

    @contextmanager
    def _measure(self, operation: str) -> Iterator[_Call]:
        call, error = _Call(), ""
        started = time.perf_counter()
        try:
            yield call
        except BaseException as exc:
            error = type(exc).__name__
            raise
        finally:
            self._observe(operation, time.perf_counter() - started, call.moved, error)


class _MeteredAdopter(MeteredBackend):
    """The same around a backend that takes over files."""

    def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
        """See SupportsAdopt.adopt."""
        inner = cast("SupportsAdopt", self._inner)
        with self._measure("adopt") as call:
            info = inner.adopt(key, path, size=size, digest=digest)
            call.moved = size
        return info


class _MeteredSealedAdopter(MeteredBackend):
    """The same around a backend that takes over sealed files."""

    def adopt_sealed(
        self, key: str, path: Path, data_key: bytes, *, size: int, digest: Digest
    ) -> ObjectInfo:
        """See SupportsAdoptSealed.adopt_sealed."""
        inner = cast("SupportsAdoptSealed", self._inner)
        with self._measure("adopt") as call:
            info = inner.adopt_sealed(key, path, data_key, size=size, digest=digest)
            call.moved = size
        return info


MeteredBackend.adopter = _MeteredAdopter
MeteredBackend.sealed_adopter = _MeteredSealedAdopter


class _MeteredReader(WrappedSpanReader):
    """Sums up what is read until it is closed."""

    def __init__(self, reader: ObjectReader, observe: Observe) -> None:
        super().__init__(reader)
        self._observe = observe
        self._seconds, self._bytes, self._error = 0.0, 0, ""
        self._is_open = True

    def read(self, size: int = -1, /) -> bytes:
        """As the inner reader's."""
        started = time.perf_counter()
        try:
            data = self._inner.read(size)
        except Exception as exc:
            self._error = type(exc).__name__
            raise
        finally:
            self._seconds += time.perf_counter() - started
        self._bytes += len(data)
        return data

    def span(self) -> FileSpan | None:
        """As the inner reader's; its bytes count as read."""
        found = super().span()
        self._bytes += found.length if found is not None else 0
        return found

    def close(self) -> None:
        """Close the inner reader and report."""
        if self._is_open:
            self._is_open = False
            self._inner.close()
            self._observe("read", self._seconds, self._bytes, self._error)
