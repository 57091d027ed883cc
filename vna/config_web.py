"""The configuration of the DICOMweb door, and what it has to be like beyond its types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from vna.config_checks import check_password_hash
from vna.errors import ConfigError


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


def check_web(web: WebConfig) -> None:
    """Raise ConfigError for the first value that the gateway could not run with."""
    for name, password_hash in web.users.items():
        check_password_hash(f"web.users.{name}", password_hash)
    url, parts = web.public_url, urlsplit(web.public_url)
    is_root = (
        parts.scheme in {"http", "https"} and parts.netloc and not (parts.query or parts.fragment)
    )
    if url and not is_root:
        raise ConfigError(
            f"web.public_url {url!r} must be a URL such as https://pacs.example.org/dicom-web"
        )
