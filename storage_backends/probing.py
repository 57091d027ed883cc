"""The probe that suits any backend: a small object of its own, there and back."""

from __future__ import annotations

import io
import secrets

from storage_backends.base import FreshKey, StorageBackend
from storage_backends.digests import digest_of
from storage_backends.errors import IntegrityError

PROBE_PREFIX = "probe-"


def probe_with_object(backend: StorageBackend) -> None:
    """Write, read, compare and remove; raises what `put`, `open` and `delete` raise."""
    key = FreshKey(PROBE_PREFIX + secrets.token_hex(16))
    written = secrets.token_bytes(64)
    backend.put(key, io.BytesIO(written), size=len(written), digest=digest_of(written))
    try:
        with backend.open(key) as reader:
            found = reader.read()
    finally:
        backend.delete(key)
    if found != written:
        raise IntegrityError(f"{backend.name}: the probe object came back changed")
