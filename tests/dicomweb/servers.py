"""The gateway as users run it: gunicorn on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.dicomweb.multiparts import ROOT


@dataclass(frozen=True, slots=True)
class Server:
    """A running gateway."""

    port: int
    process: subprocess.Popen[bytes]
    data_dir: Path

    @property
    def url(self) -> str:
        """The DICOMweb root."""
        return f"http://127.0.0.1:{self.port}{ROOT}"

    def connect(self) -> socket.socket:
        """A connection of one's own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def stored_files(self) -> list[Path]:
        """Objects of the filesystem backend, without what it keeps for itself."""
        return [path for path in self.data_dir.rglob("*.dcm") if path.is_file()]

    def spooled_files(self) -> list[Path]:
        """What lies in the spool."""
        spool = self.data_dir / "spool"
        return [path for path in spool.rglob("*") if path.is_file() and path.suffix != ".lock"]


@contextmanager
def gunicorn(
    database_url: str,
    data_dir: Path,
    *,
    workers: int = 1,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A gateway over that database; the socket listens before the process is there: nothing polls."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            *(sys.executable, "-m", "gunicorn", "--config", "python:dicomweb.gunicorn_settings"),
            *("--bind", f"fd://{listener.fileno()}", "--workers", str(workers), "--threads", "8"),
            *("--graceful-timeout", "5", "dicomweb.wsgi:create_from_environment()"),
        ]
        environment = {
            **os.environ,
            "VNA__DATABASE__URL": database_url,
            "VNA__ARCHIVE__DATA_DIR": str(data_dir),
            "VNA__LOG__LEVEL": "warning",
            **(variables or {}),
        }
        process = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()])
        try:
            yield Server(listener.getsockname()[1], process, data_dir)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
