"""Never writing a name twice: by the store's own condition, or by looking first."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from minio.error import S3Error

from storage_backends.errors import ObjectExists, StorageError
from storage_backends.s3.client import Client
from storage_backends.s3.errors import translated

_UNKNOWN = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed"})


def refuses_taken_names(client: Client, backend: str, name: str) -> bool:
    """Whether the store keeps to `If-None-Match: *`: some ignore it, some refuse it. `name` is written and removed.

    Raises StorageError.
    """
    try:
        with translated(backend, name, writes=True):
            return _is_refused(client, backend, name)
    finally:
        with contextlib.suppress(StorageError), translated(backend, name):
            client.remove(name)


def _is_refused(client: Client, backend: str, name: str) -> bool:
    try:
        client.put(name, b"first", only_new=True)
    except S3Error as exc:
        if exc.code in _UNKNOWN:
            return False
        raise
    try:
        with translated(backend, name):
            client.put(name, b"second", only_new=True)
    except ObjectExists:
        return True
    return False


class KeyLocks:
    """Lets one thread at a time work on a key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Wait until nobody else holds `key`."""
        with self._lock:
            lock, waiting = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._held.pop(key)
                if waiting > 1:
                    self._held[key] = (lock, waiting - 1)
