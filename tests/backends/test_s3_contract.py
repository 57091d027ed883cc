"""The S3 driver, bare and wrapped, keeps the storage contract on a real S3 server."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import ClassVar

import pytest

from storage_backends.base import StorageBackend, SupportsAdopt
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.s3 import S3Backend
from storage_backends.testing import BackendContract
from tests.s3_server import S3Server


def _ignore(operation: str, seconds: float, size: int, error: str) -> None:
    pass


@pytest.fixture(scope="class", autouse=True)
def _server(request: pytest.FixtureRequest, s3_server: S3Server) -> None:
    request.cls.server = s3_server


class TestS3(BackendContract):
    server: ClassVar[S3Server]

    def make_backend(self, directory: Path) -> StorageBackend:
        return self.driver()

    def driver(self) -> S3Backend:
        """A driver with a prefix of its own."""
        prefix = f"test/{secrets.token_hex(8)}"
        return S3Backend(self.server.options(prefix, part_bytes=5 * 2**20, read_timeout=30.0))

    def test_it_cannot_adopt(self) -> None:
        assert not isinstance(self.backend, SupportsAdopt)


class TestRetryingMeteredS3(TestS3):
    def make_backend(self, directory: Path) -> StorageBackend:
        return RetryingBackend(MeteredBackend(self.driver(), _ignore))
