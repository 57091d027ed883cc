"""Builds the storage backends from their configuration, each within its wrappers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from prometheus_client import Counter, Histogram

from storage_backends.base import StorageBackend
from storage_backends.encryption import EncryptedBackend, Keyring
from storage_backends.errors import StorageError
from storage_backends.metered import MeteredBackend
from storage_backends.registry import open_backend
from storage_backends.retrying import RetryingBackend
from vna import metrics
from vna.config_storage import (
    BackendConfig,
    EncryptionConfig,
    StorageConfig,
    all_backends,
    default_copies,
)
from vna.errors import ConfigError
from vna.services.storage import ObjectStore

VOLATILE = "memory"


def object_store_of(storage: StorageConfig, data_dir: Path) -> ObjectStore:
    """All backends, and which of them have to take what comes. Raises ConfigError; nothing stays open then."""
    configured = all_backends(storage)
    return ObjectStore(
        backends_of(storage, data_dir),
        default_copies(storage)[0],
        needed=default_copies(storage),
        draining=[name for name, backend in configured.items() if backend.drain],
        receiving=_receiving(storage),
    )


def spool_seals(storage: StorageConfig) -> bool:
    """Whether received objects wait sealed: wherever they may go first, they are encrypted."""
    configured, default = all_backends(storage), default_copies(storage)
    first = {default[0], *((rule.copies or default)[0] for rule in storage.rules.values())}
    return all(configured[name].encryption != EncryptionConfig() for name in first)


def _receiving(storage: StorageConfig) -> set[str]:
    """The backends that get new objects, before the acknowledgement or later."""
    places = [default_copies(storage), storage.later]
    for rule in storage.rules.values():
        places += [rule.copies, rule.later]
    return set(itertools.chain(*places))


def backends_of(storage: StorageConfig, data_dir: Path) -> Mapping[str, StorageBackend]:
    """Every configured backend by its name. Raises ConfigError; nothing stays open then."""
    configured = all_backends(storage)
    _check_apart(configured, data_dir)
    with ExitStack() as undo:
        backends = {}
        for name, backend in configured.items():
            backends[name] = _backend_of(name, backend, data_dir)
            undo.callback(backends[name].close)
        undo.pop_all()
    return backends


def _backend_of(name: str, config: BackendConfig, data_dir: Path) -> StorageBackend:
    where = f"storage backend {name!r}"
    if config.driver == VOLATILE:
        raise ConfigError(
            f"{where} forgets everything with its process ({VOLATILE!r} is for tests): use filesystem"
        )
    try:
        keys = _keyring(config.encryption, data_dir)
        driver = open_backend(config.driver, config.options, data_dir=data_dir)
    except StorageError as exc:
        raise ConfigError(f"{where} cannot be opened: {exc}") from exc
    driver.name = name
    inner = driver if keys is None else EncryptedBackend(driver, keys)
    return RetryingBackend(MeteredBackend(inner, _Observer(name)))


def _check_apart(configured: Mapping[str, BackendConfig], data_dir: Path) -> None:
    """Of two backends in one place each would take the objects of the other for its own, and a copy for two."""
    places = {name: _place_of(backend, data_dir) for name, backend in configured.items()}
    for one, other in itertools.permutations(places, 2):
        inner, outer = places[one], places[other]
        if inner and outer and inner[0] == outer[0] and inner[1].is_relative_to(outer[1]):
            raise ConfigError(
                f"storage backends {one!r} and {other!r} keep their objects in one place ({inner[1]}): "
                "give each a root, bucket or prefix of its own"
            )


def _place_of(backend: BackendConfig, data_dir: Path) -> tuple[str, PurePath] | None:
    """Where it keeps its objects, as far as the options of a driver of ours tell."""
    options = {name.lower(): value for name, value in backend.options.items()}
    if backend.driver == "filesystem":
        return "filesystem", (data_dir / options.get("root", "objects")).resolve()
    if backend.driver == "s3":
        path = PurePath(options.get("bucket", ""), options.get("prefix", "").strip("/"))
        return f"s3 {options.get('endpoint', '')} {options.get('region', '')}", path
    return None


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
