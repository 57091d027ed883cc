"""The gateway as users run it: gunicorn on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
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
    log: Path

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

    def forget(self) -> None:
        """Remove what is stored, for the next test; clients that have left may still be noticed before it."""
        deadline = time.monotonic() + 60
        while self.spooled_files():
            assert time.monotonic() < deadline, "what nobody sends any more stays in the spool"
            time.sleep(0.02)
        for path in self.stored_files():
            path.unlink()


@contextmanager
def gunicorn(
    database_url: str,
    data_dir: Path,
    *,
    workers: int = 1,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A gateway over that database; the socket listens before the process is there: nothing polls.

    What it says goes to a file beside the data directory.
    """
    log = data_dir.with_suffix(".log")
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
        with log.open("wb") as said:
            process = subprocess.Popen(
                command, env=environment, pass_fds=[listener.fileno()], stdout=said, stderr=said
            )
        try:
            yield Server(listener.getsockname()[1], process, data_dir, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
