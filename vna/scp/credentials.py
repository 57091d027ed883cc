"""The TLS contexts of the door and of its destinations, from the files that the configuration names."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

from vna.config import DestinationConfig, DimseConfig, TlsConfig
from vna.dimse.tls import (
    BadCredentials,
    Credentials,
    Watched,
    client_context,
    server_context,
    watched_server,
)
from vna.dimse.tls_transport import TlsFailed
from vna.errors import ConfigError
from vna.scp.identity import IdentityCheck


def check_credentials(dimse: DimseConfig) -> None:
    """Raise ConfigError, naming the key, for the first file that can't be used."""
    where = "dimse.tls"
    try:
        if dimse.tls.port:
            server_context(_credentials(dimse.tls))
        for title, destination in dimse.destinations.items():
            where = f"dimse.destinations.{title}"
            if destination.tls:
                client_context(_credentials(destination))
        where = "dimse.identity.jwt_keys"
        IdentityCheck(dimse.identity)
    except BadCredentials as exc:
        raise ConfigError(f"{where}: {exc}") from exc


def listener_context(tls: TlsConfig) -> Watched[ssl.SSLContext] | None:
    """The context of the listener in TLS, kept fresh; None without one. Raises BadCredentials."""
    return watched_server(_credentials(tls)) if tls.port else None


class ClientContexts:
    """The contexts for associations that the archive opens, each made at its first use and kept
    fresh; from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[DestinationConfig, Watched[ssl.SSLContext]] = {}

    def of(self, destination: DestinationConfig) -> ssl.SSLContext | None:
        """None: it is reached without TLS. Raises TlsFailed when the files can't be used."""
        if not destination.tls:
            return None
        with self._lock:
            watched = self._made.get(destination)
            if watched is None:
                watched = self._made[destination] = _watched_client(destination)
        return watched.current()


def _watched_client(destination: DestinationConfig) -> Watched[ssl.SSLContext]:
    credentials = _credentials(destination)
    try:
        return Watched(
            credentials.files,
            lambda: client_context(credentials, check_hostname=destination.check_hostname),
        )
    except BadCredentials as exc:
        raise TlsFailed(str(exc)) from exc


def _credentials(config: TlsConfig | DestinationConfig) -> Credentials:
    return Credentials(
        certificate=_path(config.certificate),
        key=_path(config.key),
        key_password_file=_path(config.key_password_file),
        ca=_path(config.ca),
    )


def _path(name: str) -> Path | None:
    return Path(name) if name else None
