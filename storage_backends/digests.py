"""Digests by name, for every driver that checks what it writes."""

from __future__ import annotations

import hashlib
from typing import Protocol

from blake3 import blake3

from storage_backends.base import PROVEN_BY_SOURCE, Digest
from storage_backends.errors import IntegrityError

BLAKE3 = "blake3"
Buffer = bytes | bytearray | memoryview


class Hasher(Protocol):
    """What hashlib's objects and blake3's have in common."""

    def update(self, data: Buffer, /) -> object: ...
    def hexdigest(self) -> str: ...


class _Trust:
    """The hasher for bytes that their source proves."""

    def update(self, data: Buffer, /) -> None:
        """Take no notice."""

    def hexdigest(self) -> str:
        """As PROVEN_BY_SOURCE has it."""
        return PROVEN_BY_SOURCE.value


def new_hasher(algorithm: str) -> Hasher:
    """A fresh hasher. Raises IntegrityError for a name that can't be checked here."""
    if algorithm == PROVEN_BY_SOURCE.algorithm:
        return _Trust()
    if algorithm == BLAKE3:
        hasher: Hasher = blake3()
        return hasher
    if algorithm in hashlib.algorithms_guaranteed and not algorithm.startswith("shake"):
        return hashlib.new(algorithm, usedforsecurity=False)
    raise IntegrityError(f"cannot check a digest made by {algorithm!r}")


def digest_of(data: Buffer, algorithm: str = BLAKE3) -> Digest:
    """The digest of bytes that are at hand."""
    hasher = new_hasher(algorithm)
    hasher.update(data)
    return Digest(algorithm, hasher.hexdigest())


def check_bytes(key: str, data: Buffer, expected: Digest) -> None:
    """Raise IntegrityError unless `data` has the digest that was announced."""
    hasher = new_hasher(expected.algorithm)
    hasher.update(data)
    check_digest(key, hasher, expected)


def check_digest(key: str, hasher: Hasher, expected: Digest) -> None:
    """Raise IntegrityError unless `hasher` has seen the bytes that `expected` announced."""
    found = hasher.hexdigest()
    if found != expected.value:
        raise IntegrityError(
            f"object {key!r}: {expected.algorithm} of the bytes is {found}, "
            f"announced was {expected.value}"
        )
