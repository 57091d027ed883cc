"""The configuration of the DICOMweb door, and what it has to be like beyond its types."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from vna.config_checks import check_password_hash
from vna.errors import ConfigError

DICOMWEB_PATH = "/dicom-web"


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The DICOMweb gateway. `users`: name -> password hash as `vna hash-password` prints it. `allow_delete`: to whom
    DELETE and the trash are open: "users" (who gave a name and password, and everyone where only loopback is listened
    to), "everyone" or "nobody".
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 0
    threads: int = 16
    drain_timeout: float = 30.0
    read_timeout: float = 60.0
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    allow_anonymous: bool = False
    users: Mapping[str, str] = field(default_factory=dict)
    cors_origins: tuple[str, ...] = ()
    allow_delete: str = "users"
    max_results: int = 1000
    search_timeout: float = 30.0
    count_timeout: float = 0.25
    metadata_cache_bytes: int = 64 * 2**20
    rendered_cache_bytes: int = 32 * 2**20
    rendered_max_pixels: int = 64 * 2**20
    metadata_settle_seconds: float = 60.0
    max_body_bytes: int = 0
    max_metadata_bytes: int = 16 * 2**20
    least_upload_rate: int = 1024
    max_requests_per_client: int = 0
    max_request_rate: float = 0.0


def check_web(web: WebConfig) -> None:
    """Raise ConfigError for the first value that the gateway could not run with."""
    for name, password_hash in web.users.items():
        check_password_hash(f"web.users.{name}", password_hash)
    public_root(web.public_url)
    for network in web.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as exc:
            raise ConfigError(
                f"web.trusted_proxies: {network!r} is no address or network such as 10.1.0.0/16"
            ) from exc


def studies_url(web: WebConfig) -> str:
    """The URL of all studies as far as the configuration tells it."""
    host = f"[{web.host}]" if ":" in web.host else web.host
    root = public_root(web.public_url) or f"http://{host}:{web.port}{DICOMWEB_PATH}"
    return f"{root}/studies"


def public_root(public_url: str) -> str:
    """The DICOMweb root that `web.public_url` means, "" for none. Raises ConfigError."""
    if not public_url:
        return ""
    parts = urlsplit(public_url.rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"web.public_url {public_url!r} must be a URL such as https://pacs.example.org/dicom-web"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path or DICOMWEB_PATH}"
