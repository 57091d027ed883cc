"""A backend that keeps objects in memory: for tests and trials."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO, cast

from storage_backends.base import (
    Digest,
    ObjectInfo,
    ObjectReader,
    check_key,
    resolve_range,
)
from storage_backends.digests import check_bytes
from storage_backends.errors import ObjectExists, ObjectNotFound
from storage_backends.probing import probe_with_object
from storage_backends.streams import read_announced


class MemoryBackend:
    """Objects in a dictionary; gone with the process."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, float]] = {}

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """See StorageBackend.put."""
        check_key(key)
        data = read_announced(key, source, size)
        check_bytes(key, data, digest)
        modified = time.time()
        with self._lock:
            if key in self._objects:
                raise ObjectExists(f"{self.name}: object {key!r} exists")
            self._objects[key] = (data, modified)
        return ObjectInfo(key, size, modified)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """See StorageBackend.open."""
        data, _ = self._get(key)
        start, count = resolve_range(key, len(data), start, length)
        wanted = data if count == len(data) else data[start : start + count]
        return cast("ObjectReader", io.BytesIO(wanted))

    def stat(self, key: str) -> ObjectInfo:
        """See StorageBackend.stat."""
        data, modified = self._get(key)
        return ObjectInfo(key, len(data), modified)

    def delete(self, key: str) -> None:
        """See StorageBackend.delete."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """See StorageBackend.scan."""
        with self._lock:
            keys = [key for key in self._objects if key.startswith(prefix) and key > after]
        for key in sorted(keys):
            with self._lock:
                held = self._objects.get(key)
            if held is not None:
                yield ObjectInfo(key, len(held[0]), held[1])

    def probe(self) -> None:
        """See StorageBackend.probe."""
        probe_with_object(self)

    def close(self) -> None:
        """Nothing is held open; the objects stay until the backend itself goes."""

    def _get(self, key: str) -> tuple[bytes, float]:
        check_key(key)
        with self._lock:
            held = self._objects.get(key)
        if held is None:
            raise ObjectNotFound(f"{self.name}: no object {key!r}")
        return held
