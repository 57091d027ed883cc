"""The form of an encrypted object: a header of fixed length, then chunks that each prove their own place.

Header (128 bytes): magic, version, logarithm of the chunk size, plain size, name of the key-encryption key, nonce,
wrapped data key. The data key is wrapped by AES-256-GCM with all that stands before it and the object's own key as
associated data, so that no header fits another object. Chunk number n is sealed by AES-256-GCM under the data key with
the nonce (n, whether it is the last): chunks can be read alone, and none can be moved, dropped or repeated.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage_backends.encryption.keyring import Keyring
from storage_backends.errors import IntegrityError

HEADER_BYTES = 128
CHUNK_BYTES = 2**16
TAG_BYTES = 16
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
MAX_KEY_NAME = 32
_MAGIC = b"VNAENC1\n"
_LOG_OF_CHUNK = 16
_FRONT = struct.Struct(">8sBB6xQ32s")
_NONCE_BYTES, _DATA_KEY_BYTES = 12, 32
_WRAPPED_AT = _FRONT.size + _NONCE_BYTES
_WRAPPED_END = _WRAPPED_AT + _DATA_KEY_BYTES + TAG_BYTES


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the header of an object tells: its data key, and its size in plain bytes."""

    cipher: AESGCM
    size: int

    @property
    def chunks(self) -> int:
        """How many there are; an empty object has one, which is empty."""
        return max(1, -(-self.size // CHUNK_BYTES))

    def nonce(self, number: int) -> bytes:
        """The nonce of chunk `number`, counted from 0."""
        return chunk_nonce(number, is_last=number == self.chunks - 1)


def chunk_nonce(number: int, *, is_last: bool) -> bytes:
    """The nonce of chunk `number`, counted from 0."""
    return number.to_bytes(_NONCE_BYTES - 1, "big") + bytes((is_last,))


def new_data_key() -> bytes:
    """A data key for one object."""
    return os.urandom(_DATA_KEY_BYTES)


def seal_header(
    key: str, size: int, keys: Keyring, data_key: bytes = b""
) -> tuple[bytes, Envelope]:
    """A header for a new object under `key`, and what it tells; with a fresh data key unless there is one.

    Raises BackendUnavailable.
    """
    name, key_encryption_key = keys.current()
    front = _FRONT.pack(_MAGIC, 1, _LOG_OF_CHUNK, size, name.encode("ascii"))
    nonce, data_key = os.urandom(_NONCE_BYTES), data_key or new_data_key()
    wrapped = AESGCM(key_encryption_key).encrypt(nonce, data_key, front + key.encode("ascii"))
    header = (front + nonce + wrapped).ljust(HEADER_BYTES, b"\0")
    return header, Envelope(AESGCM(data_key), size)


def open_header(where: str, key: str, header: bytes, keys: Keyring) -> Envelope:
    """What `header` tells. Raises IntegrityError, and BackendUnavailable when its key is not at hand."""
    if len(header) != HEADER_BYTES or not header.startswith(_MAGIC):
        raise IntegrityError(f"{where}: {key!r} is not an object that was encrypted here")
    front = header[: _FRONT.size]
    _, version, log_of_chunk, size, name = _FRONT.unpack(front)
    if (version, log_of_chunk) != (1, _LOG_OF_CHUNK) or any(header[_WRAPPED_END:]):
        raise IntegrityError(f"{where}: {key!r} is encrypted in a form that is not known")
    key_name = name.rstrip(b"\0").decode("ascii", "replace")
    nonce, wrapped = header[_FRONT.size : _WRAPPED_AT], header[_WRAPPED_AT:_WRAPPED_END]
    key_encryption_key = keys.named(key_name)
    try:
        data_key = AESGCM(key_encryption_key).decrypt(nonce, wrapped, front + key.encode("ascii"))
    except InvalidTag as exc:
        raise IntegrityError(
            f"{where}: the header of {key!r} was changed, belongs to another object, or key {key_name!r} is not "
            "the one that it was written with"
        ) from exc
    return Envelope(AESGCM(data_key), size)


def sealed_size(size: int) -> int:
    """Bytes of the encrypted object for `size` plain ones."""
    return HEADER_BYTES + size + TAG_BYTES * max(1, -(-size // CHUNK_BYTES))


def plain_size(sealed: int) -> int:
    """Plain bytes of an encrypted object of `sealed` bytes; negative when it can't be one."""
    body = sealed - HEADER_BYTES
    return body - TAG_BYTES * max(1, -(-body // SEALED_BYTES))


def sealed_offset(chunk: int) -> int:
    """Where chunk `chunk` begins in the encrypted object."""
    return HEADER_BYTES + chunk * SEALED_BYTES
