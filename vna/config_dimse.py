"""The configuration of the DIMSE door: the listener, who may come, and where instances are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DestinationConfig:
    """Where C-MOVE may send: the AE title is the table's name.

    `associations`: how many may be open to it at once for one C-MOVE; `operations_window`: how many
    C-STOREs are proposed to be outstanding on each (PS3.7 D.3.3.3). With `tls` the connection is in
    TLS: `ca` vouches for the destination (empty: the system's), `certificate` and `key` are ours,
    where it asks for them; `check_hostname`: its certificate has to be for `host`.
    """

    host: str
    port: int
    associations: int = 1
    operations_window: int = 8
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password_file: str = ""
    check_hostname: bool = True


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """What an AE title that calls us may do; the AE title is the table's name.

    `hosts`: names, addresses and networks (CIDR) from which it may come, empty: any. `services`: a
    subset of SERVICES, empty: all. `transfer_syntaxes`: UIDs in which it may send instances, empty:
    any. `max_associations`: 0 means as many as any AE.
    """

    hosts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    transfer_syntaxes: tuple[str, ...] = ()
    max_associations: int = 0
    user_identity_required: bool = False


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The listener in TLS (PS3.15 B.12, B.13) on a `port` of its own, 0: none; files in PEM.

    `ca`: peers need a certificate signed by it (mutual TLS). `only`: no port without TLS.
    """

    port: int = 0
    certificate: str = ""
    key: str = ""
    key_password_file: str = ""
    ca: str = ""
    only: bool = False


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """User identity (PS3.7 D.3.3.7): `users` name -> password hash as `vna hash-password` prints it.

    `jwt_keys`: files with public keys, PEM or JWKS (`.json`), that sign the JWTs we believe, if
    they are for `jwt_audience`, from `jwt_issuer` (empty: any) and by one of `jwt_algorithms`.
    """

    required: bool = False
    users: Mapping[str, str] = field(default_factory=dict)
    jwt_keys: tuple[str, ...] = ()
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "ES384", "EdDSA")


SERVICES = ("verification", "store", "find", "move", "get", "commitment")
"""What `PeerConfig.services` may list."""


@dataclass(frozen=True, slots=True)
class DimseConfig:
    """The DICOM listener. Times are in seconds, lengths in bytes, 0 workers means one per core."""

    host: str = "127.0.0.1"
    port: int = 11112
    workers: int = 0
    max_associations: int = 100
    max_associations_per_ae: int = 50
    max_associations_per_address: int = 75
    max_pdu_length: int = 262144
    artim_timeout: float = 30.0
    idle_timeout: float = 300.0
    message_timeout: float = 60.0
    slowest_rate: int = 16384
    connect_timeout: float = 10.0
    drain_timeout: float = 30.0
    operations_window: int = 8
    pending_interval: float = 1.0
    move_retries: int = 2
    relational_queries: str = "always"
    fuzzy_matching: str = "negotiated"
    check_called_ae_title: bool = False
    allow_any_ae: bool = False
    known_ae_titles: tuple[str, ...] = ()
    destinations: Mapping[str, DestinationConfig] = field(default_factory=dict)
    peers: Mapping[str, PeerConfig] = field(default_factory=dict)
    tls: TlsConfig = field(default_factory=TlsConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)

    @property
    def names_files(self) -> bool:
        """Whether certificates or keys are to be read."""
        destinations = self.destinations.values()
        return bool(self.tls.port or self.identity.jwt_keys or any(d.tls for d in destinations))

    @property
    def ports(self) -> tuple[int, ...]:
        """Those on which the door listens: the plain one and that for TLS, as far as configured."""
        plain = () if self.tls.only else (self.port,)
        return (*plain, self.tls.port) if self.tls.port else plain
