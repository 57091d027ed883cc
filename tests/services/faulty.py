"""A driver between the wrappers and a real one, whose calls go wrong as a test tells them to."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from storage_backends.base import (
    Digest,
    ObjectInfo,
    ObjectReader,
    SupportsAdopt,
    SupportsAdoptSealed,
)
from storage_backends.errors import (
    BackendFull,
    BackendReadOnly,
    BackendUnavailable,
    ObjectNotFound,
    StorageError,
)
from storage_backends.wrapping import WrappedReader, WrappingBackend

ALWAYS = 10**9


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `call`: "put", "open" or "read".

    `moment`: "before" the call does anything, or "after" it has been done; in the "middle" of the bytes. Without an
    `error` the bytes themselves are wrong: "changed", or "short" without a word.
    """

    name: str
    call: str
    moment: str
    error: type[StorageError] | None = BackendUnavailable

    @property
    def is_full(self) -> bool:
        """Whether the store takes nothing new, rather than being away."""
        return self.error is not None and issubclass(self.error, BackendFull)

    def raised(self) -> StorageError:
        """The error, with the fault's name as its cause."""
        assert self.error is not None
        return self.error(f"the store says: {self.name}")


PUT_FAULTS = (
    Fault("503 SlowDown", "put", "before"),
    Fault("timed out before it was done", "put", "before"),
    Fault("reset in the middle", "put", "middle"),
    Fault("timed out after it was done", "put", "after"),
    Fault("ExpiredToken", "put", "before"),
    Fault("XMinioStorageFull", "put", "middle", BackendFull),
    Fault("read-only file system", "put", "before", BackendReadOnly),
)
READ_FAULTS = (
    Fault("503 SlowDown", "open", "before"),
    Fault("ExpiredToken", "open", "before"),
    Fault("no such object", "open", "before", ObjectNotFound),
    Fault("reset in the middle", "read", "middle"),
    Fault("timed out", "read", "before"),
    Fault("changed", "read", "changed", None),
    Fault("short", "read", "short", None),
)


class FaultyBackend(WrappingBackend):
    """Meets `fault` in the next `times` calls that it is about."""

    fault: Fault | None = None
    times = 0

    def meet(self, fault: Fault, times: int) -> None:
        """From now on."""
        self.fault, self.times = fault, times

    def recover(self) -> None:
        """All goes well again."""
        self.fault, self.times = None, 0

    def due(self, call: str) -> Fault | None:
        """The fault of this call, if it is to go wrong."""
        if self.fault is None or self.fault.call != call or not self.times:
            return None
        self.times -= 1
        return self.fault

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """As the inner backend's, unless a fault is due."""
        fault = self.due("put")
        if fault is None:
            return self._inner.put(key, source, size=size, digest=digest)
        if fault.moment == "after":
            self._inner.put(key, source, size=size, digest=digest)
        elif fault.moment == "middle":
            source.read(size // 2)
        raise fault.raised()

    def adopted(self, adopt: Callable[[], ObjectInfo]) -> ObjectInfo:
        """What `adopt` gives, unless a fault of `put` is due."""
        fault = self.due("put")
        if fault is None or fault.moment == "after":
            info = adopt()
        if fault is not None:
            raise fault.raised()
        return info

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """As the inner backend's, unless a fault is due."""
        fault = self.due("open")
        if fault is not None:
            raise fault.raised()
        return _FaultyReader(self, self._inner.open(key, start=start, length=length))

    def stat(self, key: str) -> ObjectInfo:
        """See StorageBackend.stat."""
        return self._inner.stat(key)

    def delete(self, key: str) -> None:
        """See StorageBackend.delete."""
        self._inner.delete(key)

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """See StorageBackend.scan."""
        return self._inner.scan(prefix, after=after)

    def probe(self) -> None:
        """See StorageBackend.probe."""
        self._inner.probe()


class _FaultyAdopter(FaultyBackend):
    """The same around a backend that takes over files."""

    def adopt(self, key: str, path: Path, *, size: int, digest: Digest) -> ObjectInfo:
        """As the inner backend's, unless a fault of `put` is due."""
        inner = cast("SupportsAdopt", self._inner)
        return self.adopted(partial(inner.adopt, key, path, size=size, digest=digest))


class _FaultySealedAdopter(FaultyBackend):
    """The same around a backend that takes over sealed files."""

    def adopt_sealed(
        self, key: str, path: Path, data_key: bytes, *, size: int, digest: Digest
    ) -> ObjectInfo:
        """As the inner backend's, unless a fault of `put` is due."""
        adopt = cast("SupportsAdoptSealed", self._inner).adopt_sealed
        return self.adopted(partial(adopt, key, path, data_key, size=size, digest=digest))


FaultyBackend.adopter = _FaultyAdopter
FaultyBackend.sealed_adopter = _FaultySealedAdopter


class _FaultyReader(WrappedReader):
    """The fault of a reader is met once the first half of its bytes has been read."""

    def __init__(self, backend: FaultyBackend, inner: ObjectReader) -> None:
        self._fault = backend.due("read")
        if self._fault is not None and self._fault.moment != "before":
            with inner:
                data = inner.read()
            half = len(data) // 2
            if self._fault.moment == "changed":
                data = (
                    data[:half]
                    + bytes(byte ^ 1 for byte in data[half : half + 1])
                    + data[half + 1 :]
                )
            else:
                data = data[:half]
            inner = io.BytesIO(data)  # type: ignore[assignment]
        super().__init__(inner)

    def read(self, size: int = -1, /) -> bytes:
        """As the inner reader's, until the fault."""
        if self._fault is not None and self._fault.moment == "before":
            raise self._fault.raised()
        data = self._inner.read(size)
        if not data and size and self._fault is not None and self._fault.error is not None:
            raise self._fault.raised()
        return data
