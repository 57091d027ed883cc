"""A file in the form of an encrypted object, that plain bytes are appended to and then read from."""

from __future__ import annotations

import threading

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage_backends.buffers import Buffers
from storage_backends.direct import ALIGNMENT, read_at, write_all
from storage_backends.encryption.envelope import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SEALED_BYTES,
    TAG_BYTES,
    chunk_nonce,
    new_data_key,
    sealed_offset,
    sealed_size,
)
from storage_backends.errors import IntegrityError
from storage_backends.streams import FileStream

_CHUNKS = 16
_STEP = _CHUNKS * CHUNK_BYTES
_BUFFER_BYTES = _CHUNKS * SEALED_BYTES + 3 * ALIGNMENT
_IDLE_BUFFERS = 8


def sealing_buffers() -> Buffers:
    """Memory for files that are written and read at one time, shared by all of a process: 1 MiB and more each."""
    return Buffers(-(-_BUFFER_BYTES // ALIGNMENT) * ALIGNMENT, _IDLE_BUFFERS)


class SealedFile:
    """Room for a header, and chunks sealed under `data_key`, which is known to nobody else.

    One thread appends; when the last bytes are there, any may read. `fd` is the caller's.
    """

    def __init__(self, fd: int, buffers: Buffers) -> None:
        self.data_key = new_data_key()
        self.size = 0
        self._fd, self._buffers = fd, buffers
        self._cipher = AESGCM(self.data_key)
        self._is_whole = False
        self._reading = threading.Lock()
        self._written = 0
        self._rest = bytes(HEADER_BYTES)  # what is no whole block yet, and waits for the next bytes

    def append(self, plain: memoryview, *, is_last: bool = False) -> None:
        """Append whole chunks; only the last call, which has a byte at least, may bring others. Raises OSError."""
        for at in range(0, len(plain), _STEP):
            with plain[at : at + _STEP] as piece, self._buffers.lend() as memory:
                self._write(memory, piece, is_last=is_last and at + _STEP >= len(plain))
        self._is_whole = is_last

    def read_into(self, target: memoryview, position: int) -> int:
        """Fill `target` with the plain bytes from `position` on; the count, fewer at the end.

        Raises OSError, IntegrityError.
        """
        done, count = 0, max(0, min(len(target), self.size - position))
        while done < count:
            with self._buffers.lend() as memory, target[done:count] as rest:
                done += self._read(memory, rest, position + done)
        return done

    def stream(self) -> FileStream:
        """The plain bytes as a stream; its reads raise OSError, IntegrityError."""
        return _PlainStream(self, self._fd)

    def _write(self, memory: memoryview, plain: memoryview, *, is_last: bool) -> None:
        end = len(self._rest)
        memory[:end] = self._rest
        for at in range(0, len(plain), CHUNK_BYTES):
            with plain[at : at + CHUNK_BYTES] as chunk:
                number, self.size = self.size // CHUNK_BYTES, self.size + len(chunk)
                nonce = chunk_nonce(number, is_last=is_last and at + CHUNK_BYTES >= len(plain))
                with memory[end : end + len(chunk) + TAG_BYTES] as place:
                    self._cipher.encrypt_into(nonce, chunk, None, place)
                    end += len(place)
        whole = end if is_last else end // ALIGNMENT * ALIGNMENT
        with memory[:whole] as blocks:
            write_all(self._fd, blocks, self._written)
        self._written += whole
        self._rest = bytes(memory[whole:end])

    def _read(self, memory: memoryview, target: memoryview, position: int) -> int:
        """Plain bytes of a few chunks from `position` on; how many of them `target` took."""
        if not self._is_whole:
            raise ValueError("read of an unfinished file")
        first = position // CHUNK_BYTES
        last = min(-(-(position + len(target)) // CHUNK_BYTES), first + _CHUNKS)
        start = sealed_offset(first) // ALIGNMENT * ALIGNMENT
        end = min(sealed_offset(last), sealed_size(self.size))
        with memory[: -(-(end - start) // ALIGNMENT) * ALIGNMENT] as blocks:
            with (
                self._reading
            ):  # past the cache is a matter of the descriptor, which all readers share
                found = read_at(self._fd, blocks, start)
            if found < end - start:
                raise IntegrityError("a sealed file was cut short")
        done = 0
        for number in range(first, last):
            at = sealed_offset(number) - start
            with memory[at : min(at + SEALED_BYTES, end - start)] as sealed:
                skip = max(0, position - number * CHUNK_BYTES)
                done += self._open(number, sealed, target[done:], skip)
        return done

    def _open(self, number: int, sealed: memoryview, target: memoryview, skip: int) -> int:
        """The plain bytes of a chunk behind the first `skip`, as many as `target` takes."""
        size = len(sealed) - TAG_BYTES
        nonce = chunk_nonce(number, is_last=number * CHUNK_BYTES + size == self.size)
        count = min(size - skip, len(target))
        try:
            if count == size:
                self._cipher.decrypt_into(nonce, sealed, None, target[:size])
            else:
                target[:count] = self._cipher.decrypt(nonce, sealed, None)[skip : skip + count]
        except InvalidTag as exc:
            raise IntegrityError(f"chunk {number} of a sealed file was changed") from exc
        return count


class _PlainStream(FileStream):
    """The plain bytes of a sealed file."""

    def __init__(self, file: SealedFile, fd: int) -> None:
        super().__init__(fd, file.size)
        self._file = file

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override]
        with memoryview(target) as view:
            count = self._file.read_into(view, self._position)
        self._position += count
        return count
