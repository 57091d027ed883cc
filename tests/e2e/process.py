"""Start, stop and kill a whole archive as a user would."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.conftest import _CLEAN
from vna.index.embedded import EmbeddedPostgres

START_TIMEOUT = 90.0
STOP_TIMEOUT = 60.0


_reserved = contextlib.ExitStack()
atexit.register(_reserved.close)


def free_port() -> int:
    """A TCP port of the loopback address for a server that is started, perhaps several times, by this test run.

    It stays bound, so that the system gives it to no client and no other server meanwhile; it is never listened on,
    so that a server with SO_REUSEADDR, as all of ours are, may have it all the same.
    """
    holder = _reserved.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    return port


@dataclass
class ArchiveProcess:
    """`vna serve` in a process group of its own."""

    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> str:
        """The DICOMweb root URL."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    @property
    def log_path(self) -> Path:
        """Where the archive's output goes."""
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self) -> None:
        """Start and wait until it says ready."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "vna.cli", "serve", "--data-dir", str(self.data_dir)),
                    *("--dicom-port", str(self.dicom_port), "--http-port", str(self.http_port)),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        self.await_ready()

    def await_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the archive ended:\n{self.log_path.read_text()}")
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.dicom_port), timeout=1),
            ):
                url = f"http://127.0.0.1:{self.http_port}/readyz"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.05)
        raise AssertionError(f"the archive did not become ready:\n{self.log_path.read_text()}")

    def await_line(self, text: str) -> None:
        """Wait until `text` stands in the output; the doors serve a little before it is announced."""
        deadline = time.monotonic() + START_TIMEOUT
        while text not in self.log_path.read_text():
            assert time.monotonic() < deadline, self.log_path.read_text()
            time.sleep(0.05)

    def stop(self) -> int:
        """SIGTERM and wait; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT)

    def kill_group(self) -> None:
        """kill -9 of the whole process group."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_postgres(self) -> None:
        """kill -9 of the embedded Postgres' postmaster."""
        for pid_file in self.data_dir.rglob("postmaster.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)


def empty_index(data_dir: Path) -> None:
    """Forget every instance of the embedded index, so that the same UIDs can come again."""
    with EmbeddedPostgres.start(data_dir) as server, psycopg.connect(server.url) as connection:
        connection.execute(_CLEAN)


@contextlib.contextmanager
def running_archive(
    data_dir: Path, environment: Mapping[str, str] | None = None
) -> Iterator[ArchiveProcess]:
    """An archive that runs inside the block and is stopped, with code 0, after it."""
    archive = ArchiveProcess(data_dir, environment or {})
    archive.start()
    try:
        yield archive
    finally:
        if archive.process is not None and archive.process.poll() is None:
            code = archive.stop()
            assert code == 0, archive.log_path.read_text()
