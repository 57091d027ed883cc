"""The encrypting backend keeps the storage contract over every driver, below every wrapper."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import ClassVar

import pytest

from storage_backends.base import StorageBackend, SupportsAdopt
from storage_backends.encryption import EncryptedBackend, Keyring
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.s3 import S3Backend
from storage_backends.testing import BackendContract
from tests.s3_server import S3Server

_KEY = base64.b64encode(bytes(range(32))).decode()


def keyring(*names: str) -> Keyring:
    """Keys of these names, all of the same bytes."""
    return Keyring(lambda: "\n".join(f"{name}:{_KEY}" for name in names), "the test")


def _ignore(operation: str, seconds: float, size: int, error: str) -> None:
    pass


@pytest.fixture(scope="class", autouse=True)
def _server(request: pytest.FixtureRequest, s3_server: S3Server) -> None:
    request.cls.server = s3_server


class TestEncryptedMemory(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return EncryptedBackend(MemoryBackend(), keyring("one"))

    def test_it_cannot_adopt(self) -> None:
        assert not isinstance(self.backend, SupportsAdopt)


class TestEncryptedFilesystem(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return EncryptedBackend(FilesystemBackend(directory), keyring("one"))


class TestRetryingMeteredEncryptedFilesystem(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        inner = EncryptedBackend(FilesystemBackend(directory), keyring("one"))
        return RetryingBackend(MeteredBackend(inner, _ignore))


class TestRetryingMeteredEncryptedS3(BackendContract):
    server: ClassVar[S3Server]

    def make_backend(self, directory: Path) -> StorageBackend:
        prefix = f"test/{secrets.token_hex(8)}"
        inner = EncryptedBackend(S3Backend(self.server.options(prefix)), keyring("one"))
        return RetryingBackend(MeteredBackend(inner, _ignore))
