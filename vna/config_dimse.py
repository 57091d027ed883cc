"""The configuration of the DIMSE door: the listener, who may come, and where instances are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DestinationConfig:
    """Where C-MOVE may send: the AE title is the table's name."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class DimseConfig:
    """The DICOM listener. Times are in seconds, lengths in bytes, 0 workers means one per core."""

    host: str = "127.0.0.1"
    port: int = 11112
    workers: int = 0
    max_associations: int = 100
    max_pdu_length: int = 262144
    artim_timeout: float = 30.0
    idle_timeout: float = 300.0
    message_timeout: float = 60.0
    connect_timeout: float = 10.0
    drain_timeout: float = 30.0
    check_called_ae_title: bool = False
    allow_any_ae: bool = False
    known_ae_titles: tuple[str, ...] = ()
    destinations: Mapping[str, DestinationConfig] = field(default_factory=dict)
