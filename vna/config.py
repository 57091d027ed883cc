"""The configuration: one frozen tree of defaults, a TOML file and VNA__SECTION__KEY variables."""

from __future__ import annotations

import itertools
import os
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from vna.config_checks import check_ae_title, check_dimse, check_port, check_secret
from vna.config_decoding import DecodingConfig
from vna.config_dimse import (
    DestinationConfig,
    DimseConfig,
    IdentityConfig,
    PeerConfig,
    TlsConfig,
)
from vna.config_jobs import CommitmentConfig, JobsConfig
from vna.config_storage import StorageConfig, check_storage
from vna.config_trash import ChangesConfig, TrashConfig
from vna.config_values import build, merge, read_environment
from vna.config_verification import VerificationConfig
from vna.config_web import WebConfig, check_web
from vna.errors import ConfigError

__all__ = [
    "ArchiveConfig",
    "ChangesConfig",
    "CommitmentConfig",
    "Config",
    "DatabaseConfig",
    "DecodingConfig",
    "DestinationConfig",
    "DimseConfig",
    "IdentityConfig",
    "JobsConfig",
    "LogConfig",
    "PeerConfig",
    "SpoolConfig",
    "StorageConfig",
    "TlsConfig",
    "TrashConfig",
    "VerificationConfig",
    "WebConfig",
    "check_exposure",
    "load_config",
]

ENVIRONMENT_PREFIX = "VNA__"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class ArchiveConfig:
    """`data_dir`: everything the archive keeps. `ae_title`: its own.

    `issuer_of_patient_id`: (0010,0021) of the patients whose objects do not name one. `max_transcode_bytes`: the
    largest object, stored or converted, that is converted in memory for who can't take it as stored. `timezone`: the
    IANA name of the zone in which objects without Timezone Offset From UTC (0008,0201) were made; "": whichever
    a query has. `pseudonym_secret`: what UIDs of anonymized images are made with; "": one in the data directory.
    """

    data_dir: Path = Path("data")
    ae_title: str = "VNA"
    issuer_of_patient_id: str = ""
    max_transcode_bytes: int = 512 * 2**20
    timezone: str = ""
    pseudonym_secret: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """The index. An empty `url` means an embedded Postgres under the data directory.

    `partitions`: into how many a new database divides its largest tables; 0: plain tables, or as the database is.
    """

    url: str = ""
    pool_size: int = 16
    connect_timeout: float = 10.0
    partitions: int = 0


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
    commitment: CommitmentConfig = field(default_factory=CommitmentConfig)
    jobs: JobsConfig = field(default_factory=JobsConfig)
    trash: TrashConfig = field(default_factory=TrashConfig)
    changes: ChangesConfig = field(default_factory=ChangesConfig)
    verification: VerificationConfig = field(default_factory=VerificationConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
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
        and not (dimse.known_ae_titles or dimse.peers or dimse.allow_any_ae)
    ):
        raise ConfigError(
            f"dimse.host = {dimse.host!r} is open to the network "
            "but dimse.known_ae_titles and dimse.peers are empty: list the AE titles that may "
            "connect, or set dimse.allow_any_ae = true"
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
    ("dimse", 0, ("workers", "drain_timeout", "move_retries")),
    ("dimse", 0.01, ("pending_interval",)),
    ("dimse", 1, ("max_associations", "max_associations_per_ae", "max_associations_per_address")),
    ("dimse", 1, ("operations_window", "slowest_rate")),
    ("dimse", 0.001, ("artim_timeout", "idle_timeout", "message_timeout", "connect_timeout")),
    ("dimse", 4096, ("max_pdu_length",)),
    ("web", 0, ("workers", "drain_timeout", "count_timeout", "metadata_cache_bytes")),
    ("web", 0, ("metadata_settle_seconds", "max_body_bytes", "max_requests_per_client")),
    ("web", 0, ("max_request_rate", "least_upload_rate", "rendered_cache_bytes")),
    ("web", 1, ("threads", "max_results", "max_metadata_bytes", "rendered_max_pixels")),
    (
        "web",
        0.001,
        (
            "read_timeout",
            "search_timeout",
        ),
    ),
    ("commitment", 0.001, ("hold_time", "retry_delay", "max_retry_delay", "max_age")),
    ("commitment", 0, ("storage_patience", "keep_days")),
    ("commitment", 1, ("max_attempts",)),
    ("jobs", 1, ("threads",)),
    ("jobs", 0.001, ("stalled_after",)),
    ("jobs", 0, ("drain_timeout",)),
    ("trash", 0, ("keep_days",)),
    ("changes", 0, ("keep_days",)),
    ("verification", 0, ("every_days", "rate")),
    ("decoding", 0, ("processes",)),
    ("decoding", 0.001, ("seconds", "idle_seconds")),
    ("decoding", 64 * 2**20, ("memory_bytes",)),
    ("database", 1, ("pool_size",)),
    ("database", 0, ("partitions",)),
    ("database", 0.001, ("connect_timeout",)),
    ("spool", 0, ("memory_bytes", "process_memory_bytes")),
)
_MOST_DAYS = 365_000
"""A thousand years: dates that are further away no calendar here can tell."""

_CHOICES = (
    ("log", "level", ("debug", "info", "warning", "error")),
    ("log", "format", ("text", "json")),
    ("dimse", "relational_queries", ("always", "negotiated")),
    ("dimse", "fuzzy_matching", ("always", "negotiated", "never")),
    ("web", "allow_delete", ("users", "everyone", "nobody")),
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
    _check_days(config)
    check_web(config.web)
    check_storage(config.storage)
    _check_timezone(config.archive.timezone)
    check_secret("archive.pseudonym_secret", config.archive.pseudonym_secret)
    check_ae_title("archive.ae_title", config.archive.ae_title)
    check_dimse(config.dimse)


def _check_days(config: Config) -> None:
    for section in ("commitment", "trash", "changes"):
        if getattr(config, section).keep_days > _MOST_DAYS:
            raise ConfigError(f"{section}.keep_days must be at most {_MOST_DAYS}")


def _check_ports(config: Config) -> None:
    check_port("dimse.port", config.dimse.port, least=1)
    check_port("web.port", config.web.port, least=1)
    ports = {"dimse.port": config.dimse.port, "web.port": config.web.port}
    if config.dimse.tls.port:
        ports["dimse.tls.port"] = config.dimse.tls.port
    for one, other in itertools.combinations(ports, 2):
        if ports[one] == ports[other]:
            raise ConfigError(f"{one} and {other} are both {ports[one]}: choose two")


def _check_timezone(name: str) -> None:
    try:
        if name:
            ZoneInfo(name)
    except (ValueError, OSError) as exc:  # ZoneInfoNotFoundError is a KeyError
        raise ConfigError(f"archive.timezone {name!r} is not the name of a time zone") from exc
    except KeyError as exc:
        raise ConfigError(
            f"archive.timezone {name!r} is not known: give an IANA name such as Europe/Berlin"
        ) from exc
