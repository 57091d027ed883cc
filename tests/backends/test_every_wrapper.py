"""The storage contract on those wrappers over those drivers that no other test of it has."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import ClassVar

import pytest

from storage_backends.base import StorageBackend
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.s3 import S3Backend
from storage_backends.testing import BackendContract
from tests.backends.wrappings import encrypted, metered
from tests.s3_server import S3Server


class TestMeteredEncryptedMemory(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return metered(encrypted(MemoryBackend()))


class TestRetryingEncryptedMemory(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(encrypted(MemoryBackend()))


class TestRetryingMeteredEncryptedMemory(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(metered(encrypted(MemoryBackend())))


@pytest.mark.crash
class TestMeteredEncryptedFilesystem(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return metered(encrypted(FilesystemBackend(directory)))


@pytest.mark.crash
class TestRetryingEncryptedFilesystem(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(encrypted(FilesystemBackend(directory)))


@pytest.fixture(scope="class", autouse=True)
def _server(request: pytest.FixtureRequest) -> None:
    if hasattr(request.cls, "driver"):
        request.cls.server = request.getfixturevalue("s3_server")


class _OnS3(BackendContract):
    server: ClassVar[S3Server]

    def driver(self) -> StorageBackend:
        """With a prefix of its own."""
        return S3Backend(self.server.options(f"every/{secrets.token_hex(8)}"))


@pytest.mark.crash
class TestRetryingS3(_OnS3):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(self.driver())


@pytest.mark.crash
class TestMeteredS3(_OnS3):
    def make_backend(self, directory: Path) -> StorageBackend:
        return metered(self.driver())


@pytest.mark.crash
class TestEncryptedS3(_OnS3):
    def make_backend(self, directory: Path) -> StorageBackend:
        return encrypted(self.driver())


@pytest.mark.crash
class TestMeteredEncryptedS3(_OnS3):
    def make_backend(self, directory: Path) -> StorageBackend:
        return metered(encrypted(self.driver()))


@pytest.mark.crash
class TestRetryingEncryptedS3(_OnS3):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(encrypted(self.driver()))
