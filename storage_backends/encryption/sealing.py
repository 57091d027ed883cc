"""Plain bytes to an encrypted object, as a stream that is made as it is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import BinaryIO

from storage_backends.base import Digest
from storage_backends.digests import check_bytes, check_digest, new_hasher
from storage_backends.encryption.envelope import CHUNK_BYTES, SEALED_BYTES, TAG_BYTES, Envelope
from storage_backends.streams import in_memory, read_announced, shows_memory

_Plain = bytes | memoryview


class SealedStream:
    """The encrypted object of some chunks; what does not fit where it is read to is held until the next read."""

    def __init__(self, header: bytes, envelope: Envelope, chunks: Iterator[_Plain]) -> None:
        self._envelope = envelope
        self._chunks = enumerate(chunks)
        self._held = memoryview(header)
        self._spill = bytearray(SEALED_BYTES)

    def readinto(self, target: bytearray | memoryview, /) -> int:
        """Fill `target`; the count of bytes, fewer only at the end. Raises what the chunks raise."""
        with memoryview(target) as view:
            done = 0
            while done < len(view):
                if not self._held:
                    sealed = self._seal_next(view[done:])
                    if sealed is None:
                        break
                    done += sealed
                count = min(len(self._held), len(view) - done)
                view[done : done + count] = self._held[:count]
                self._held = self._held[count:]
                done += count
        return done

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises what the chunks raise."""
        if size < 0:
            return b"".join(iter(lambda: self.read(2**20), b""))
        data = bytearray(size)
        return bytes(memoryview(data)[: self.readinto(data)])

    def seekable(self) -> bool:
        """It is not."""
        return False

    def _seal_next(self, room: memoryview) -> int | None:
        """Seal one chunk into `room`, or aside when it does not fit; how many bytes of `room` it took.

        None: there are no more.
        """
        number, plain = next(self._chunks, (0, None))
        if plain is None:
            return None
        length = len(plain) + TAG_BYTES
        fits = length <= len(room)
        with memoryview(room if fits else self._spill)[:length] as place:
            self._envelope.cipher.encrypt_into(self._envelope.nonce(number), plain, None, place)
        self._held = memoryview(b"" if fits else self._spill)[: 0 if fits else length]
        return length if fits else 0


@contextlib.contextmanager
def plain_chunks(
    key: str, source: BinaryIO, size: int, digest: Digest
) -> Iterator[Iterator[_Plain]]:
    """`size` bytes of `source` in chunks, an empty one for none; the last comes only if all of them match `digest`.

    A source that shows its memory is not copied. Raises IntegrityError.
    """
    if not shows_memory(source):
        yield _read_chunks(key, source, size, digest)
        return
    with in_memory(key, source, size, digest) as (data, is_vouched):
        if not is_vouched:
            check_bytes(key, data, digest)
        yield (data[at : at + CHUNK_BYTES] for at in range(0, max(size, 1), CHUNK_BYTES))


def _read_chunks(key: str, source: BinaryIO, size: int, digest: Digest) -> Iterator[bytes]:
    hasher = new_hasher(digest.algorithm)
    for left in range(max(size, 1), 0, -CHUNK_BYTES):
        chunk = read_announced(key, source, min(CHUNK_BYTES, left, size))
        hasher.update(chunk)
        if left <= CHUNK_BYTES:
            check_digest(key, hasher, digest)
        yield chunk
