"""A stream over plain bytes whose encrypted chunks are fetched and proven as they are read."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag

from storage_backends.base import ObjectReader
from storage_backends.encryption.envelope import CHUNK_BYTES, SEALED_BYTES, TAG_BYTES, Envelope
from storage_backends.errors import IntegrityError
from storage_backends.streams import read_exactly
from storage_backends.wrapping import WrappedReader

_MAX_CHUNKS = 16


class OpeningReader(WrappedReader):
    """The plain bytes from `start` to `end`; `inner` stands at the chunk in which they begin."""

    def __init__(
        self, where: str, inner: ObjectReader, envelope: Envelope, start: int, end: int
    ) -> None:
        super().__init__(inner)
        self._where, self._envelope = where, envelope
        self._chunk, self._skip = divmod(start, CHUNK_BYTES)
        self._position, self._end = start, end
        self._held = memoryview(b"")
        self._is_closed = False
        self.on_damage: Callable[[], object] = bool
        """Called before an IntegrityError is raised."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, b"" at the end; fewer only there. Raises IntegrityError, BackendUnavailable."""
        if self._is_closed:
            raise ValueError("read of a closed object")
        left = self._end - self._position
        wanted = left if size < 0 else min(size, left)
        parts: list[memoryview] = []
        while wanted:
            if not self._held:
                try:
                    self._held = self._next_chunks(wanted)
                except IntegrityError:
                    self.on_damage()
                    raise
            parts.append(self._held[:wanted])
            self._held = self._held[len(parts[-1]) :]
            self._position += len(parts[-1])
            wanted -= len(parts[-1])
        return parts[0].tobytes() if len(parts) == 1 else b"".join(parts)

    def check_last(self) -> None:
        """Prove a chunk that holds no bytes, of an empty object. Raises IntegrityError, BackendUnavailable."""
        self._next_chunks(1)

    def close(self) -> None:
        """Close the inner reader; a second call does nothing."""
        self._is_closed = True
        super().close()

    def _next_chunks(self, wanted: int) -> memoryview:
        """The plain bytes of as many chunks as `wanted` bytes need, a few at most."""
        count = min(-(-(self._skip + wanted) // CHUNK_BYTES), _MAX_CHUNKS)
        first, last = self._chunk, min(self._chunk + count, self._envelope.chunks)
        plain_end = min(last * CHUNK_BYTES, self._envelope.size)
        size = plain_end - first * CHUNK_BYTES
        sealed = self._fetch(size + TAG_BYTES * (last - first))
        plain = bytearray(size)
        with memoryview(plain) as target:
            for number in range(first, last):
                at, place = (number - first) * SEALED_BYTES, (number - first) * CHUNK_BYTES
                with target[place : place + CHUNK_BYTES] as piece:
                    self._open_chunk(number, sealed[at : at + SEALED_BYTES], piece)
        skip, self._skip, self._chunk = self._skip, 0, last
        return memoryview(plain).toreadonly()[skip:]

    def _open_chunk(self, number: int, sealed: memoryview, target: memoryview) -> None:
        try:
            self._envelope.cipher.decrypt_into(self._envelope.nonce(number), sealed, None, target)
        except InvalidTag as exc:
            raise IntegrityError(
                f"{self._where}: chunk {number} is not what was written there"
            ) from exc

    def _fetch(self, count: int) -> memoryview:
        data = read_exactly(self._inner, count)
        if len(data) != count:
            raise IntegrityError(f"{self._where}: the encrypted object was cut short")
        return memoryview(data)
