"""Builds the storage backends from their configuration, each within its wrappers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import Counter, Histogram

from storage_backends.base import StorageBackend
from storage_backends.encryption import EncryptedBackend, Keyring
from storage_backends.errors import StorageError
from storage_backends.metered import MeteredBackend
from storage_backends.registry import open_backend
from storage_backends.retrying import RetryingBackend
from vna import metrics
from vna.config_storage import EncryptionConfig, StorageConfig
from vna.errors import ConfigError

VOLATILE = "memory"


def backends_of(storage: StorageConfig, data_dir: Path) -> Mapping[str, StorageBackend]:
    """Every configured backend by its name. Raises ConfigError; nothing stays open then."""
    kind = storage.backend
    if kind == VOLATILE:
        raise ConfigError(
            f"storage.backend {kind!r} forgets everything with its process: it is for tests; use filesystem"
        )
    try:
        keys = _keyring(storage.encryption, data_dir)
        driver = open_backend(kind, storage.options, data_dir=data_dir)
    except StorageError as exc:
        raise ConfigError(f"storage.backend {kind!r} cannot be opened: {exc}") from exc
    inner = driver if keys is None else EncryptedBackend(driver, keys)
    return {driver.name: RetryingBackend(MeteredBackend(inner, _Observer(driver.name)))}


def _keyring(encryption: EncryptionConfig, data_dir: Path) -> Keyring | None:
    if encryption.key_file:
        return Keyring.from_file(data_dir / Path(encryption.key_file).expanduser())
    if encryption.key_variable:
        return Keyring.from_environment(encryption.key_variable)
    if encryption.key_command:
        return Keyring.from_command(encryption.key_command)
    return None


@dataclass(frozen=True, slots=True)
class _Observer:
    """Writes what MeteredBackend sees to the archive's metrics."""

    backend: str
    meters: dict[str, tuple[Histogram, Counter]] = field(default_factory=dict)

    def __call__(self, operation: str, seconds: float, size: int, error: str) -> None:
        meters = self.meters.get(operation)
        if meters is None:  # looking a label up costs more than counting
            meters = self.meters[operation] = (
                metrics.STORAGE_SECONDS.labels(self.backend, operation),
                metrics.STORAGE_BYTES.labels(self.backend, operation),
            )
        meters[0].observe(seconds)
        if size:
            meters[1].inc(size)
        if error:
            metrics.STORAGE_ERRORS.labels(self.backend, operation, error).inc()
