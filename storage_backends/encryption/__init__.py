"""A backend around a backend that keeps only encrypted bytes."""

from storage_backends.encryption.backend import EncryptedBackend
from storage_backends.encryption.keyring import Keyring

__all__ = ["EncryptedBackend", "Keyring"]
