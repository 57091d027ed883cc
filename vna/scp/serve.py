"""The DICOM listener as a gunicorn application: pre-forked workers on one port."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gunicorn.app.base import BaseApplication

from vna.audit import AuditLog
from vna.config import Config
from vna.processes import (
    ArchiveLogger,
    forget_metrics_of,
    leave_interrupts_to_parent,
    share_memory,
)
from vna.scp.credentials import check_credentials
from vna.scp.exchange import Door
from vna.scp.listener import Listener
from vna.scp.places import Places
from vna.scp.worker import LAST_BREATH, DimseWorker
from vna.services.asked_commitment import AskedCommitmentService
from vna.services.commitment import CommitmentService
from vna.services.pixels import PixelService
from vna.services.query import QueryService
from vna.services.retrieve import RetrieveService
from vna.services.store import StoreService

WORKER_TIMEOUT = 60
"""Seconds without a sign of life after which the master replaces a worker."""


class Archive(Protocol):
    """What the door needs of the archive that `build` makes."""

    @property
    def store(self) -> StoreService: ...
    @property
    def query(self) -> QueryService: ...
    @property
    def retrieve(self) -> RetrieveService: ...
    @property
    def pixels(self) -> PixelService: ...
    @property
    def commitments(self) -> CommitmentService: ...
    @property
    def asked_commitments(self) -> AskedCommitmentService: ...
    @property
    def audit(self) -> AuditLog: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ServedArchive:
    """One worker's archive and the listener in front of it."""

    listener: Listener
    drain_timeout: float
    tls_port: int
    archive: Archive

    def close(self) -> None:
        """Close listener and archive; the listener must be idle."""
        self.listener.close()
        self.archive.close()


def door_of(archive: Archive, config: Config) -> Door:
    """The door of `archive`, configured."""
    return Door(
        store=archive.store,
        query=archive.query,
        retrieve=archive.retrieve,
        pixels=archive.pixels,
        commitments=archive.commitments,
        asked=archive.asked_commitments,
        audit=archive.audit,
        config=config.dimse,
        ae_title=config.archive.ae_title.strip(),
    )


class DimseApplication(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Serves DICOM until SIGTERM, which drains. Each worker builds an archive after the fork; they
    share the count of open associations.
    """

    def __init__(self, config: Config, build: Callable[[Config], Archive]) -> None:
        """Raises ConfigError for certificates and keys that can't be used."""
        check_credentials(config.dimse)
        self._config = config
        self._build = build
        self._places = Places(config.dimse.max_associations)
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's settings from ours; no file or variable of gunicorn's is read."""
        for key, value in gunicorn_settings(self._config).items():
            self.cfg.set(key, value)

    def load(self) -> ServedArchive:
        """Called once in each worker."""
        archive = self._build(self._config)
        dimse = self._config.dimse
        listener = Listener(door_of(archive, self._config), self._places)
        return ServedArchive(listener, dimse.drain_timeout, dimse.tls.port, archive)


def gunicorn_settings(config: Config) -> dict[str, Any]:
    """How gunicorn runs the DICOM door."""
    dimse = config.dimse
    host = f"[{dimse.host}]" if ":" in dimse.host else dimse.host
    return {
        "bind": [f"{host}:{port}" for port in dimse.ports],
        "workers": dimse.workers or os.cpu_count() or 1,
        "worker_class": DimseWorker,
        "timeout": WORKER_TIMEOUT,
        "graceful_timeout": int(dimse.drain_timeout + LAST_BREATH) + 1,
        "control_socket_disable": True,
        "logger_class": ArchiveLogger,
        "loglevel": "debug" if config.log.level == "debug" else "warning",
        "pre_fork": share_memory,
        "child_exit": forget_metrics_of,
        "when_ready": leave_interrupts_to_parent,
        "post_worker_init": leave_interrupts_to_parent,
    }
