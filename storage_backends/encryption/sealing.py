"""Plain bytes to an encrypted object: in memory, or as a stream that is made as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, BinaryIO

from storage_backends.base import Digest
from storage_backends.digests import BLAKE3, Hasher, check_digest, new_hasher
from storage_backends.encryption.envelope import CHUNK_BYTES, TAG_BYTES, Envelope, sealed_size
from storage_backends.streams import read_announced


def seal_in_memory(header: bytes, envelope: Envelope, plain: memoryview) -> bytearray:
    """The encrypted object of `plain`."""
    sealed = bytearray(sealed_size(envelope.size))
    sealed[: len(header)] = header
    position = len(header)
    with memoryview(sealed) as target:
        for number in range(envelope.chunks):
            chunk = plain[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]
            end = position + len(chunk) + TAG_BYTES
            with target[position:end] as place:
                envelope.cipher.encrypt_into(envelope.nonce(number), chunk, None, place)
            position = end
    return sealed


class SealedStream:
    """The encrypted object of a source, made as it is read; `digest` of the plain bytes is checked at their end."""

    def __init__(
        self, key: str, header: bytes, envelope: Envelope, source: BinaryIO, digest: Digest
    ) -> None:
        self._held = header
        self._position = 0
        self._chunks = _sealed_chunks(key, envelope, source, digest)

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises IntegrityError, and what the source raises."""
        if self._position == len(self._held):
            self._held, self._position = next(self._chunks, b""), 0
        end = len(self._held) if size < 0 else self._position + size
        data = self._held[self._position : end]
        self._position += len(data)
        return data + (self.read() if size < 0 and data else b"")

    def seekable(self) -> bool:
        """It is not."""
        return False


def sealed_digest(stream: SealedStream, copy: IO[bytes] | None = None) -> Digest:
    """The digest of all that is left of a stream; `copy` gets the bytes, too."""
    hasher: Hasher = new_hasher(BLAKE3)
    while data := stream.read(CHUNK_BYTES + TAG_BYTES):
        hasher.update(data)
        if copy is not None:
            copy.write(data)
    return Digest(BLAKE3, hasher.hexdigest())


def _sealed_chunks(
    key: str, envelope: Envelope, source: BinaryIO, digest: Digest
) -> Iterator[bytes]:
    hasher: Hasher = new_hasher(digest.algorithm)
    left = envelope.size
    for number in range(envelope.chunks):
        chunk = read_announced(key, source, min(CHUNK_BYTES, left))
        left -= len(chunk)
        hasher.update(chunk)
        if not left:
            check_digest(key, hasher, digest)
        yield envelope.cipher.encrypt(envelope.nonce(number), chunk, None)
