"""Where the S3 driver's credentials come from, and come from again when they change."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from minio.credentials import Credentials, Provider
from minio.credentials.providers import (
    AWSConfigProvider,
    ChainedProvider,
    EnvAWSProvider,
    IamAwsProvider,
    StaticProvider,
)

from storage_backends.errors import BackendUnavailable
from storage_backends.s3.options import S3Options


def provider_of(options: S3Options) -> Provider:
    """What tells the credentials before each request. Its `retrieve` raises BackendUnavailable."""
    if options.access_key_file or options.secret_key_file or options.session_token_file:
        paths = (options.access_key_file, options.secret_key_file, options.session_token_file)
        return _Rereading(lambda: _from_files(options), [Path(path) for path in paths if path])
    if options.access_key:
        return StaticProvider(options.access_key, options.secret_key, options.session_token or None)
    if options.credentials_file:
        shared = AWSConfigProvider(options.credentials_file, options.profile)
        return _Rereading(shared.retrieve, [Path(options.credentials_file)])
    return ChainedProvider([EnvAWSProvider(), IamAwsProvider()])


def _from_files(options: S3Options) -> Credentials:
    return Credentials(
        options.access_key or _text(options.access_key_file),
        options.secret_key or _text(options.secret_key_file),
        options.session_token or _text(options.session_token_file) or None,
    )


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8").strip() if path else ""


class _Rereading(Provider):  # type: ignore[misc]
    """Credentials from files, read again whenever one of these is another than before."""

    def __init__(self, read: Callable[[], Credentials], paths: list[Path]) -> None:
        self._read, self._paths = read, paths
        self._lock = threading.Lock()
        self._seen: object = None
        self._credentials: Credentials | None = None

    def retrieve(self) -> Credentials:
        try:
            seen = [_identity(path.stat()) for path in self._paths]
            with self._lock:
                if self._credentials is None or seen != self._seen:
                    self._credentials, self._seen = self._read(), seen
                return self._credentials
        except (OSError, ValueError) as exc:
            raise BackendUnavailable(f"s3: the credentials can't be read: {exc}") from exc


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size
