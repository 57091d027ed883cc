"""Every driver, and every wrapper around every driver, keeps the storage contract."""

from __future__ import annotations

from pathlib import Path

from storage_backends.base import StorageBackend, SupportsAdopt
from storage_backends.filesystem import FilesystemBackend
from storage_backends.memory import MemoryBackend
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.testing import AdoptContract, BackendContract


def _ignore(operation: str, seconds: float, size: int, error: str) -> None:
    pass


class TestMemory(BackendContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return MemoryBackend()

    def test_it_cannot_adopt(self) -> None:
        assert not isinstance(self.backend, SupportsAdopt)


class TestRetryingMemory(TestMemory):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(MemoryBackend())


class TestMeteredMemory(TestMemory):
    def make_backend(self, directory: Path) -> StorageBackend:
        return MeteredBackend(MemoryBackend(), _ignore)


class TestRetryingMeteredMemory(TestMemory):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(MeteredBackend(MemoryBackend(), _ignore))


class TestFilesystem(AdoptContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return FilesystemBackend(directory)


class TestRetryingFilesystem(AdoptContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(FilesystemBackend(directory))


class TestMeteredFilesystem(AdoptContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return MeteredBackend(FilesystemBackend(directory), _ignore)


class TestRetryingMeteredFilesystem(AdoptContract):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(MeteredBackend(FilesystemBackend(directory), _ignore))
