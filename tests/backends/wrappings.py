"""The wrappers of a backend as tests put them around one."""

from __future__ import annotations

from storage_backends.base import StorageBackend
from storage_backends.encryption import EncryptedBackend
from storage_backends.metered import MeteredBackend
from tests.backends.test_encrypted_contract import keyring


def encrypted(inner: StorageBackend) -> StorageBackend:
    """With a key of its own."""
    return EncryptedBackend(inner, keyring("one"))


def metered(inner: StorageBackend) -> StorageBackend:
    """By a meter that nobody reads."""
    return MeteredBackend(inner, _ignore)


def _ignore(operation: str, seconds: float, size: int, error: str) -> None:
    pass
