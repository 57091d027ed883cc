"""Run the archive: one parent that keeps the doors (and an embedded Postgres) going until it is told to stop."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from vna.bootstrap_database import prepare_data_dir
from vna.config import Config, check_exposure
from vna.errors import ConfigError, Unavailable
from vna.index.embedded import EmbeddedPostgres
from vna.parent import PARENT_VARIABLE, die_with_parent
from vna.processes import METRICS_VARIABLE, forget_metrics
from vna.rehearsal import rehearse

log = logging.getLogger(__name__)

WORKER = "worker"
_ROUND = 0.2
_RESTART_PAUSE = 1.0
_START_TIMEOUT = 60.0
_PROBE_TIMEOUT = 2.0
_STOP_MARGIN = 10.0


def serve(config: Config, role: str, environment: Mapping[str, str]) -> int:
    """Run `role` until SIGTERM or SIGINT; returns the exit code.

    `environment` holds the variables that carry the configuration to child processes.
    Raises ConfigError, Unavailable before anything listens.
    """
    check_exposure(config, role)
    if role == "all":
        return Supervisor(config, environment).run()
    die_with_parent()
    if role == "dimse":
        return _run_dimse(config)
    if role == "web":
        return _run_web(config, environment)
    raise ConfigError(f"role {role!r} is not all, dimse or web")


def _run_dimse(config: Config) -> int:
    from vna.bootstrap import build
    from vna.scp.serve import DimseApplication

    DimseApplication(config, build).run()
    return 0


def _run_web(config: Config, environment: Mapping[str, str]) -> int:
    """Become gunicorn: the gateway stands above this package and is named, not imported."""
    web = config.web
    arguments = [
        *(sys.executable, "-m", "gunicorn", "--config", "python:dicomweb.gunicorn_settings"),
        *("--bind", f"{bracketed(web.host)}:{web.port}"),
        *("--workers", str(web.workers or os.cpu_count() or 1)),
        *("--threads", str(web.threads)),
        *("--graceful-timeout", str(int(web.drain_timeout))),
        "dicomweb.wsgi:create_from_environment()",
    ]
    sys.stdout.flush()
    os.execve(sys.executable, arguments, {**os.environ, **environment})  # noqa: S606


def bracketed(host: str) -> str:
    """`host` as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def check_files(config: Config) -> None:
    """Find out before anything is made whether certificates or keys can't be used. Raises ConfigError."""
    dimse = config.dimse
    if dimse.names_files:  # what reads them is large, and stays loaded
        from vna.scp.credentials import check_credentials

        check_credentials(dimse)


@dataclass
class Supervisor:
    """Starts one process per door and a worker, restarts one that dies, and stops all in order."""

    config: Config
    environment: Mapping[str, str]
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    stopping: bool = False

    def run(self) -> int:
        """Serve until told to stop; 0 after an orderly stop."""
        for door, host, port in self._doors():
            check_port_is_free(door, host, port)
        check_files(self.config)
        data_dir = prepare_data_dir(self.config)
        with (
            only_server(data_dir),
            metrics_directory() as metrics,
            running_postgres(self.config, data_dir) as postgres,
        ):
            url = self.config.database.url if postgres is None else postgres.url
            database = replace(self.config.database, url=url)
            rehearse(replace(self.config, database=database))
            variables = {
                **os.environ,
                **self.environment,
                PARENT_VARIABLE: str(os.getpid()),
                METRICS_VARIABLE: str(metrics),
                "VNA__ARCHIVE__DATA_DIR": str(data_dir),
                "VNA__DATABASE__URL": url,
            }
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, self._stop)
            try:
                return self._supervise(variables, postgres)
            finally:
                self._stop_children()

    def _doors(self) -> tuple[tuple[str, str, int], ...]:
        """(name of the configuration's table, host, port) of each listening socket."""
        dimse, web = self.config.dimse, self.config.web
        tables = {port: "dimse.tls" if port == dimse.tls.port else "dimse" for port in dimse.ports}
        return (
            *((table, dimse.host, port) for port, table in tables.items()),
            ("web", web.host, web.port),
        )

    def _supervise(self, variables: Mapping[str, str], postgres: EmbeddedPostgres | None) -> int:
        for name in ("dimse", "web", WORKER):
            self._start(name, variables)
        if not self._await_doors():
            return 0 if self.stopping else 1
        self._announce()
        while not self.stopping:
            time.sleep(_ROUND)
            self._revive_children(variables)
            if postgres is not None:
                revive(postgres)
        return 0

    def _revive_children(self, variables: Mapping[str, str]) -> None:
        for name, child in list(self.children.items()):
            if child.poll() is not None and not self.stopping:
                log.error("%s ended with code %s; starting it again", name, child.returncode)
                forget_metrics(child.pid, variables[METRICS_VARIABLE])
                time.sleep(_RESTART_PAUSE)
                self._start(name, variables)

    def _start(self, role: str, variables: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "vna.cli", "serve", "--role", role]
        self.children[role] = subprocess.Popen(command, env=dict(variables))  # noqa: S603

    def _await_doors(self) -> bool:
        deadline = time.monotonic() + _START_TIMEOUT
        waiting = list(self._doors())
        while waiting and time.monotonic() < deadline and not self.stopping:
            dead = [door for door, child in self.children.items() if child.poll() is not None]
            if dead:
                log.error("%s did not start; its reason stands above", dead[0])
                return False
            waiting = [door for door in waiting if not is_up(*door)]
            time.sleep(0.05)
        return not waiting and not self.stopping

    def _announce(self) -> None:
        dimse, web = self.config.dimse, self.config.web
        data_dir = self.config.archive.data_dir.resolve()
        title = f"{self.config.archive.ae_title}@{bracketed(dimse.host)}"
        dicom = [
            f"  DICOM    {title}:{port}{' (TLS)' if port == dimse.tls.port else ''}\n"
            for port in dimse.ports
        ]
        sys.stdout.write(
            f"archive {self.config.archive.ae_title} is running, data in {data_dir}\n"
            f"{''.join(dicom)}"
            f"  DICOMweb http://{bracketed(web.host)}:{web.port}/dicom-web\n"
            "stop with Ctrl-C\n"
        )
        sys.stdout.flush()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _stop_children(self) -> None:
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        config = self.config
        drain = max(part.drain_timeout for part in (config.dimse, config.web, config.jobs))
        deadline = time.monotonic() + drain + _STOP_MARGIN
        for door, child in self.children.items():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s did not drain in time and is killed", door)
                child.kill()
                child.wait()


@contextlib.contextmanager
def running_postgres(config: Config, data_dir: Path) -> Iterator[EmbeddedPostgres | None]:
    """The embedded Postgres; None when the configuration names a database. Raises ConfigError, Unavailable."""
    if config.database.url:
        yield None
        return
    with EmbeddedPostgres.start(data_dir) as postgres:
        yield postgres


def revive(postgres: EmbeddedPostgres) -> None:
    """Start the embedded Postgres again when it has died."""
    try:
        if postgres.revive():
            log.error("the embedded Postgres had ended and was started again")
    except Unavailable as exc:
        log.error("the embedded Postgres has ended and does not start, trying again: %s", exc)  # noqa: TRY400


def check_port_is_free(door: str, host: str, port: int) -> None:
    """Raises ConfigError naming the key to change when `port` cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise ConfigError(
                f"cannot listen on {bracketed(host)}:{port} ({exc.strerror}): "
                f"choose another {door}.port, or stop what uses it"
            ) from exc


def is_up(door: str, host: str, port: int) -> bool:
    """Whether the door accepts connections; the gateway must answer too, since its master listens before it can."""
    try:
        if door == "web":
            return _is_healthy(host, port)
        with socket.create_connection((host, port), timeout=_PROBE_TIMEOUT):
            return True
    except (OSError, http.client.HTTPException):
        return False


def _is_healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=_PROBE_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    finally:
        connection.close()


@contextlib.contextmanager
def only_server(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock, which the kernel drops with this process. Raises ConfigError when it is held."""
    with (data_dir / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ConfigError(
                f"another archive serves {data_dir}: stop it, or choose another archive.data_dir"
            ) from exc
        yield


@contextlib.contextmanager
def metrics_directory() -> Iterator[Path]:
    """Where the processes count together: mapped files, which must never meet a full disk, so in memory if possible."""
    in_memory = Path("/dev/shm")  # noqa: S108
    parent = in_memory if os.access(in_memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="vna-metrics-", dir=parent) as directory:
        yield Path(directory)
