"""What names, secrets and the configuration of the DIMSE door have to be like, beyond their types."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from vna.config_dimse import (
    SERVICES,
    DestinationConfig,
    DimseConfig,
    IdentityConfig,
    PeerConfig,
    TlsConfig,
)
from vna.errors import ConfigError

ASYMMETRIC_ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
"""JWT signatures that a public key checks; never "none", never a shared secret (HS…)."""

_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_HASH_METHODS = frozenset({"scrypt", "pbkdf2"})
_LEAST_SECRET = 16


def check_dimse(dimse: DimseConfig) -> None:
    """Raise ConfigError for the first value that the DIMSE door could not run with."""
    for title in dimse.known_ae_titles:
        check_ae_title("dimse.known_ae_titles", title)
    for title, destination in dimse.destinations.items():
        _check_destination(title, destination)
    for title, peer in dimse.peers.items():
        _check_peer(title, peer)
    _check_unique_titles("dimse.peers", dimse.peers)
    _check_tls(dimse.tls)
    _check_identity(dimse.identity)
    if dimse.identity.required or any(p.user_identity_required for p in dimse.peers.values()):
        _check_identity_is_possible(dimse.identity)


def check_port(where: str, port: int, *, least: int) -> None:
    """Raises ConfigError for what is no TCP port."""
    if not least <= port <= 65535:
        raise ConfigError(f"{where}: port {port} is not between {least} and 65535")


def check_ae_title(where: str, title: str) -> None:
    """Raises ConfigError for what PS3.5 6.2 does not allow as an AE title."""
    if not title.strip() or not _AE_TITLE.fullmatch(title):
        raise ConfigError(
            f"{where}: AE title {title!r} must be 1 to 16 ASCII characters without backslash"
        )


def check_secret(where: str, secret: str) -> None:
    """Raises ConfigError for a secret, if there is one, that could be guessed."""
    if secret and len(secret) < _LEAST_SECRET:
        raise ConfigError(f"{where} must have at least {_LEAST_SECRET} characters")


def check_password_hash(where: str, password_hash: str) -> None:
    """Raises ConfigError for what `vna hash-password` can't have printed."""
    method, *rest = password_hash.split("$")
    if method.split(":")[0] not in _HASH_METHODS or len(rest) != 2:
        raise ConfigError(
            f"{where} is not a password hash: put there what `vna hash-password` prints"
        )


def _check_destination(title: str, destination: DestinationConfig) -> None:
    where = f"dimse.destinations.{title}"
    check_ae_title("dimse.destinations", title)
    check_port(f"{where}.port", destination.port, least=1)
    for key in ("associations", "operations_window"):
        if getattr(destination, key) < 1:
            raise ConfigError(f"{where}.{key} must be at least 1")
    if not destination.tls and (destination.ca or destination.certificate or destination.key):
        raise ConfigError(f"{where} names certificates but not tls = true")
    if destination.key and not destination.certificate:
        raise ConfigError(f"{where}.key needs {where}.certificate")


def _check_peer(title: str, peer: PeerConfig) -> None:
    where = f"dimse.peers.{title}"
    check_ae_title("dimse.peers", title)
    for host in peer.hosts:
        _check_host(f"{where}.hosts", host)
    for service in peer.services:
        if service not in SERVICES:
            raise ConfigError(f"{where}.services: {service!r} is not one of {', '.join(SERVICES)}")
    for uid in peer.transfer_syntaxes:
        if not _UID.fullmatch(uid):
            raise ConfigError(f"{where}.transfer_syntaxes: {uid!r} is not a UID")
    if peer.max_associations < 0:
        raise ConfigError(f"{where}.max_associations must be at least 0")


def _check_host(where: str, host: str) -> None:
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError:
        looks_numeric = "/" in host or not re.search("[A-Za-z]", host)
        if looks_numeric or not _HOST_NAME.fullmatch(host):
            raise ConfigError(
                f"{where}: {host!r} is no host name, address or network such as 10.1.0.0/16"
            ) from None


def _check_unique_titles(where: str, titles: Mapping[str, object]) -> None:
    """Spaces around an AE title do not count (PS3.5 6.2)."""
    if len({title.strip() for title in titles}) != len(titles):
        raise ConfigError(f"{where} has an AE title twice, with and without spaces")


def _check_tls(tls: TlsConfig) -> None:
    check_port("dimse.tls.port", tls.port, least=0)
    if tls.only and not tls.port:
        raise ConfigError("dimse.tls.only leaves no port to listen on: set dimse.tls.port")
    if tls.port and not tls.certificate:
        raise ConfigError("dimse.tls.port needs dimse.tls.certificate (and dimse.tls.key)")


def _check_identity(identity: IdentityConfig) -> None:
    for name, password_hash in identity.users.items():
        check_password_hash(f"dimse.identity.users.{name}", password_hash)
    _check_algorithms(identity.jwt_algorithms)
    if identity.jwt_keys and not identity.jwt_audience:
        raise ConfigError(
            "dimse.identity.jwt_keys needs dimse.identity.jwt_audience: "
            "without it a token for any other service would open the archive"
        )


def _check_algorithms(algorithms: Iterable[str]) -> None:
    for algorithm in algorithms:
        if algorithm not in ASYMMETRIC_ALGORITHMS:
            raise ConfigError(
                f"dimse.identity.jwt_algorithms: {algorithm!r} is not one of "
                f"{', '.join(sorted(ASYMMETRIC_ALGORITHMS))}"
            )


def _check_identity_is_possible(identity: IdentityConfig) -> None:
    if not (identity.users or identity.jwt_keys):
        raise ConfigError(
            "a user identity is required but nobody has one: "
            "set dimse.identity.users or dimse.identity.jwt_keys"
        )
