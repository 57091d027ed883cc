"""An archive that runs as a process of this machine: where it listens, what it consists of, how it is stopped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
START_TIMEOUT = 120.0
WITHOUT_DELAY = {"TCP_NODELAY": "1"}
"""What makes DCMTK, in Orthanc too, send at once. Debian's lets Nagle's algorithm hold back the end of each answer
until the client's delayed acknowledgement, which costs 40 ms."""
STOP_TIMEOUT = 60.0

Modalities = Mapping[str, tuple[str, int]]
"""Host and port of each application entity that a peer may send to, by AE title."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running archive. `roots` gives the processes it consists of, a database server included.

    `most_studies`: how many studies its index can hold, None without a limit. `refused`: the share of concurrent stores
    that it may refuse, since its processes get into each other's way. `fills`: the associations through which it takes
    many small objects soonest. `settings`: what a reader of figures should know.
    """

    name: str
    version: str
    ae_title: str
    dicom_port: int
    roots: Callable[[], Sequence[int]]
    settings: tuple[str, ...] = ()
    http_port: int | None = None
    most_studies: int | None = None
    refused: float = 0.0
    fills: int = 1
    log: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where its DICOM listener is."""
        return LOOPBACK, self.dicom_port


class PeerFailed(RuntimeError):
    """A program ended, or did not listen in time; the message holds the end of its log."""


@contextmanager
def serving(
    command: Sequence[object],
    port: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that listens on `port` of the loopback address, stopped after the block. Raises PeerFailed."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_ending_with_parent(), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        await_listener(port, process, log)
        yield process
    finally:
        stop(process)


def _ending_with_parent() -> list[str]:
    """The words before a command that make it end when the process that started it is killed."""
    program = shutil.which("setpriv", path="/usr/bin:/bin")
    return [program, "--pdeathsig", "TERM", "--"] if program else []


def await_listener(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the process listens; raises PeerFailed when it ends or stays silent."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PeerFailed(f"{process.args!r} ended with {process.returncode}:\n{tail(log)}")
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise PeerFailed(f"{process.args!r} does not listen on port {port}:\n{tail(log)}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL when that does not end it within a minute."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(log: Path, length: int = 3000) -> str:
    """The end of a log."""
    return log.read_bytes()[-length:].decode("utf-8", "replace")


def package_version(name: str) -> str:
    """The version of an installed Debian package; empty without it."""
    command = ["dpkg-query", "--show", "--showformat=${Version}", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
