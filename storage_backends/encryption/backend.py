"""The backend that encrypts what another keeps."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from storage_backends.base import (
    PROVEN_BY_SOURCE,
    Digest,
    ObjectInfo,
    ObjectReader,
    StorageBackend,
    SupportsAdopt,
    check_key,
    resolve_range,
)
from storage_backends.encryption.envelope import (
    CHUNK_BYTES,
    HEADER_BYTES,
    Envelope,
    open_header,
    plain_size,
    seal_header,
    sealed_offset,
    sealed_size,
)
from storage_backends.encryption.keyring import Keyring
from storage_backends.encryption.reader import OpeningReader
from storage_backends.encryption.sealing import SealedStream, plain_chunks
from storage_backends.errors import IntegrityError
from storage_backends.oserrors import translated
from storage_backends.probing import probe_with_object
from storage_backends.streams import empty_reader, read_exactly
from storage_backends.wrapping import WrappingBackend

_KNOWN_ENVELOPES = 1024


class EncryptedBackend(WrappingBackend):
    """AES-256-GCM in chunks, a data key for each object, wrapped by a key of `keys`.

    Sizes are those of the plain bytes. A wrong key and any change of an object, also its exchange for another, is an
    IntegrityError when the bytes concerned are read; a key that is not at hand is BackendUnavailable. An object is
    encrypted while the inner backend takes it, in bounded memory.
    """

    def __init__(self, inner: StorageBackend, keys: Keyring) -> None:
        super().__init__(inner)
        self._keys = keys
        self._lock = threading.Lock()
        self._envelopes: OrderedDict[str, Envelope] = OrderedDict()

    def put(self, key: str, source: BinaryIO, *, size: int, digest: Digest) -> ObjectInfo:
        """See StorageBackend.put."""
        header, envelope = seal_header(check_key(key), size, self._keys)
        with plain_chunks(key, source, size, digest) as chunks:
            sealed = cast("BinaryIO", SealedStream(header, envelope, chunks))
            info = self._inner.put(key, sealed, size=sealed_size(size), digest=PROVEN_BY_SOURCE)
        return replace(info, size=size)

    def adopt_sealed(
        self, key: str, path: Path, data_key: bytes, *, size: int, digest: Digest
    ) -> ObjectInfo:
        """See SupportsAdoptSealed.adopt_sealed. To a backend that takes no files over it is put as it is."""
        del digest  # it is of the plain bytes, which each chunk vouches for
        header, _ = seal_header(check_key(key), size, self._keys, data_key)
        inner, sealed = self._inner, sealed_size(size)
        with translated(self.name, key, writes=True):
            path.chmod(0o600)  # an earlier attempt may have made it read-only
            with path.open("r+b", buffering=0) as file:
                file.write(header)
            if isinstance(inner, SupportsAdopt):
                info = inner.adopt(key, path, size=sealed, digest=PROVEN_BY_SOURCE)
            else:
                with path.open("rb", buffering=0) as source:
                    info = inner.put(key, source, size=sealed, digest=PROVEN_BY_SOURCE)
                path.unlink()
        return replace(info, size=size)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> ObjectReader:
        """See StorageBackend.open. The header costs a request of its own, once, when the bytes don't follow it."""
        envelope = self._known(check_key(key))
        if envelope is None and start == 0 and length != 0:
            return self._open_from_header(key, length)
        if envelope is None:
            with self._inner.open(key, start=0, length=HEADER_BYTES) as reader:
                envelope = self._envelope_of(key, reader)
        start, count = resolve_range(key, envelope.size, start, length)
        first = min(start // CHUNK_BYTES, envelope.chunks - 1)
        end = sealed_size(min(-(-(start + count) // CHUNK_BYTES) * CHUNK_BYTES, envelope.size))
        inner = self._inner.open(
            key, start=sealed_offset(first), length=max(0, end - sealed_offset(first))
        )
        reader = OpeningReader(f"{self.name}: {key!r}", inner, envelope, start, start + count)
        # A store that finished an earlier attempt to put it late has another header there by now.
        reader.on_damage = lambda: self._forget(key)
        return reader

    def stat(self, key: str) -> ObjectInfo:
        """See StorageBackend.stat. Raises IntegrityError for what is too short to be an encrypted object."""
        info = self._inner.stat(key)
        size = plain_size(info.size)
        if size < 0:
            raise IntegrityError(f"{self.name}: {key!r} is not an object that was encrypted here")
        return replace(info, size=size)

    def delete(self, key: str) -> None:
        """See StorageBackend.delete."""
        self._forget(key)
        self._inner.delete(key)

    def scan(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """See StorageBackend.scan."""
        for info in self._inner.scan(prefix, after=after):
            yield replace(info, size=max(0, plain_size(info.size)))

    def probe(self) -> None:
        """See StorageBackend.probe."""
        probe_with_object(self)

    def _open_from_header(self, key: str, length: int | None) -> ObjectReader:
        """Header and bytes in one request."""
        wanted = None if length is None else sealed_size(-(-length // CHUNK_BYTES) * CHUNK_BYTES)
        inner = self._inner.open(key, start=0, length=wanted)
        try:
            envelope = self._envelope_of(key, inner)
        except BaseException:
            inner.close()
            raise
        end = envelope.size if length is None else min(length, envelope.size)
        reader = OpeningReader(f"{self.name}: {key!r}", inner, envelope, 0, end)
        if envelope.size == 0:
            with reader:
                reader.check_last()
            return empty_reader()
        return reader

    def _envelope_of(self, key: str, reader: ObjectReader) -> Envelope:
        envelope = open_header(self.name, key, read_exactly(reader, HEADER_BYTES), self._keys)
        with self._lock:
            self._envelopes[key] = envelope
            while len(self._envelopes) > _KNOWN_ENVELOPES:
                self._envelopes.popitem(last=False)
        return envelope

    def _forget(self, key: str) -> None:
        with self._lock:
            self._envelopes.pop(key, None)

    def _known(self, key: str) -> Envelope | None:
        with self._lock:
            envelope = self._envelopes.get(key)
            if envelope is not None:
                self._envelopes.move_to_end(key)
            return envelope
