"""The configuration: one frozen tree of defaults, a TOML file and VNA__SECTION__KEY variables."""

from __future__ import annotations

import os
import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vna.config_dimse import DestinationConfig, DimseConfig
from vna.config_values import build, merge, read_environment
from vna.errors import ConfigError

__all__ = [
    "ArchiveConfig",
    "Config",
    "DatabaseConfig",
    "DestinationConfig",
    "DimseConfig",
    "LogConfig",
    "SpoolConfig",
    "StorageConfig",
    "WebConfig",
    "check_exposure",
    "load_config",
]

ENVIRONMENT_PREFIX = "VNA__"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")


@dataclass(frozen=True, slots=True)
class ArchiveConfig:
    """`data_dir`: everything the archive keeps. `ae_title`: its own.

    `issuer_of_patient_id`: (0010,0021) of the patients whose objects do not name one. `max_transcode_bytes`: the
    largest object, stored or converted, that is converted in memory for who can't take it as stored.
    """

    data_dir: Path = Path("data")
    ae_title: str = "VNA"
    issuer_of_patient_id: str = ""
    max_transcode_bytes: int = 512 * 2**20


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The DICOMweb gateway. `users`: name -> password hash as `vna hash-password` prints it."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 0
    threads: int = 16
    drain_timeout: float = 30.0
    read_timeout: float = 60.0
    public_url: str = ""
    allow_anonymous: bool = False
    users: Mapping[str, str] = field(default_factory=dict)
    cors_origins: tuple[str, ...] = ()
    max_results: int = 1000
    metadata_cache_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """The index. An empty `url` means an embedded Postgres under the data directory."""

    url: str = ""
    pool_size: int = 16
    connect_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    """Received bytes before they are stored.

    Up to `memory_bytes` of one object, and `process_memory_bytes` of all that one process receives at a time, stay
    in memory.
    """

    memory_bytes: int = 32 * 2**20
    process_memory_bytes: int = 128 * 2**20
    directory: str = ""


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Which backend new objects go to, and the options of each backend by name."""

    backend: str = "filesystem"
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """`level`: debug, info, warning or error; `format`: "text" or "json"."""

    level: str = "info"
    format: str = "text"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    archive: ArchiveConfig = field(default_factory=ArchiveConfig)
    dimse: DimseConfig = field(default_factory=DimseConfig)
    web: WebConfig = field(default_factory=WebConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    spool: SpoolConfig = field(default_factory=SpoolConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    log: LogConfig = field(default_factory=LogConfig)

    @property
    def spool_directory(self) -> Path:
        """Where large objects wait: on the storage's file system, to be adopted by rename."""
        chosen = self.spool.directory
        return Path(chosen) if chosen else self.archive.data_dir / "spool"


def load_config(
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Mapping[str, object]] = types.MappingProxyType({}),
) -> Config:
    """Defaults, then the TOML file, the environment and `overrides` (section -> key -> value).

    Raises ConfigError for an unreadable file, an unknown key, a value of the wrong type or range.
    """
    tree = _read_toml(path) if path is not None else {}
    merge(tree, read_environment(Config, environment, ENVIRONMENT_PREFIX))
    merge(tree, overrides)
    config = build(Config, tree)
    _check(config)
    return config


def check_exposure(config: Config, role: str = "all") -> None:
    """Refuse to listen beyond loopback without knowing who may come (raises ConfigError)."""
    dimse, web = config.dimse, config.web
    if (
        role in {"all", "dimse"}
        and dimse.host not in LOOPBACK
        and not (dimse.known_ae_titles or dimse.allow_any_ae)
    ):
        raise ConfigError(
            f"dimse.host = {dimse.host!r} is open to the network "
            "but dimse.known_ae_titles is empty: list the AE titles that may connect, "
            "or set dimse.allow_any_ae = true"
        )
    if (
        role in {"all", "web"}
        and web.host not in LOOPBACK
        and not (web.users or web.allow_anonymous)
    ):
        raise ConfigError(
            f"web.host = {web.host!r} is open to the network but web.users is empty: "
            "add users (vna hash-password), or set web.allow_anonymous = true"
        )


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise ConfigError(f"cannot read configuration {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigError(f"configuration {path} is not valid TOML: {exc}") from exc


_MINIMUM: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("archive", 0, ("max_transcode_bytes",)),
    ("dimse", 0, ("workers", "drain_timeout")),
    ("dimse", 1, ("max_associations",)),
    ("dimse", 0.001, ("artim_timeout", "idle_timeout", "message_timeout", "connect_timeout")),
    ("dimse", 4096, ("max_pdu_length",)),
    ("web", 0, ("workers", "drain_timeout", "metadata_cache_bytes")),
    ("web", 1, ("threads", "max_results")),
    ("web", 0.001, ("read_timeout",)),
    ("database", 1, ("pool_size",)),
    ("database", 0.001, ("connect_timeout",)),
    ("spool", 0, ("memory_bytes", "process_memory_bytes")),
)
_HASH_METHODS = frozenset({"scrypt", "pbkdf2"})
_CHOICES = (
    ("log", "level", ("debug", "info", "warning", "error")),
    ("log", "format", ("text", "json")),
)


def _check(config: Config) -> None:
    """Raise ConfigError for the first value that no archive could run with."""
    for section, least, keys in _MINIMUM:
        for key in keys:
            if getattr(getattr(config, section), key) < least:
                raise ConfigError(f"{section}.{key} must be at least {least}")
    for section, key, choices in _CHOICES:
        value = getattr(getattr(config, section), key)
        if value not in choices:
            raise ConfigError(f"{section}.{key} {value!r} is not one of {', '.join(choices)}")
    _check_ports(config)
    _check_web(config.web)
    _check_ae_title("archive.ae_title", config.archive.ae_title)
    for title in config.dimse.known_ae_titles:
        _check_ae_title("dimse.known_ae_titles", title)
    for title, destination in config.dimse.destinations.items():
        _check_ae_title("dimse.destinations", title)
        _check_port(f"dimse.destinations.{title}.port", destination.port, least=1)


def _check_ports(config: Config) -> None:
    _check_port("dimse.port", config.dimse.port, least=1)
    _check_port("web.port", config.web.port, least=1)
    if config.dimse.port == config.web.port:
        raise ConfigError(f"dimse.port and web.port are both {config.web.port}: choose two")


def _check_port(where: str, port: int, *, least: int) -> None:
    if not least <= port <= 65535:
        raise ConfigError(f"{where}: port {port} is not between {least} and 65535")


def _check_web(web: WebConfig) -> None:
    for name, password_hash in web.users.items():
        _check_password_hash(name, password_hash)
    url, parts = web.public_url, urlsplit(web.public_url)
    is_root = (
        parts.scheme in {"http", "https"} and parts.netloc and not (parts.query or parts.fragment)
    )
    if url and not is_root:
        raise ConfigError(
            f"web.public_url {url!r} must be a URL such as https://pacs.example.org/dicom-web"
        )


def _check_password_hash(name: str, password_hash: str) -> None:
    method, *rest = password_hash.split("$")
    if method.split(":")[0] not in _HASH_METHODS or len(rest) != 2:
        raise ConfigError(
            f"web.users.{name} is not a password hash: put there what `vna hash-password` prints"
        )


def _check_ae_title(where: str, title: str) -> None:
    if not title.strip() or not _AE_TITLE.fullmatch(title):
        raise ConfigError(
            f"{where}: AE title {title!r} must be 1 to 16 ASCII characters without backslash"
        )
